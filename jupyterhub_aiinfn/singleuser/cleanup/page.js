// The clean-up page: follows the scan, sorts, counts what is chosen, deletes it. Names are only ever put in as text.
"use strict";

const { api, onward, xsrf, known, state } = JSON.parse(document.getElementById("settings").textContent);
const find = (id) => document.getElementById(id);
const put = (id, text) => {
  if (find(id).textContent !== text) find(id).textContent = text;
};
const chosen = { paths: new Map(), known: new Map() };
const sorting = { folders: ["bytes", -1], files: ["bytes", -1] };
let figures = null;
let now = state;

const bytes = (count) => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < 4) [count, unit] = [count / 1024, unit + 1];
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
};
const number = (count, one, many) => `${count.toLocaleString()} ${count === 1 ? one : many}`;
const files = (count) => number(count, "file", "files");
const day = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleDateString() : "not known");

const request = async (path, init = {}) => {
  const answer = await fetch(api + path, { ...init, headers: { "X-XSRFToken": xsrf, ...init.headers }, cache: "no-store" });
  if (answer.ok) return answer;
  let said = `the server answered ${answer.status}; load the page again`;
  try {
    said = (await answer.json()).message || said;
  } catch {
    // not ours: the number says what there is to say
  }
  throw new Error(said);
};
const post = (path, body) =>
  request(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

// Figures come as lines of JSON, until the last one is done.
const follow = async (path, take) => {
  const reader = (await request(path)).body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (text + decoder.decode(value, { stream: true })).split("\n");
    text = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
  }
};

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const box = (kind, id, label, size) => {
  const made = element("input", undefined, { type: "checkbox", "aria-label": `Choose ${label}` });
  made.checked = chosen[kind].has(id);
  made.dataset.key = `${kind} ${id}`;
  made.addEventListener("change", () => {
    if (made.checked) chosen[kind].set(id, { label, size });
    else chosen[kind].delete(id);
    // the same file may stand in two lists
    for (const other of document.querySelectorAll("input[data-key]")) {
      if (other.dataset.key === made.dataset.key) other.checked = made.checked;
    }
    showChosen();
  });
  const cell = element("td");
  cell.append(made);
  return cell;
};

const replaceRows = (table, rows) => {
  const body = table.tBodies[0];
  const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  body.replaceChildren(...rows);
  if (focused) [...body.querySelectorAll("input")].find((one) => one.dataset.key === focused)?.focus();
};

const row = (list, one) => {
  const made = element("tr");
  const name = element("th", one.path, { scope: "row" });
  if (one.owner !== null) {
    name.append(element("small", `Belongs to another user (user id ${one.owner}): only they or an administrator can delete it, unless the folder around it is yours.`));
  }
  made.append(box("paths", one.id, one.path, one.bytes), name, element("td", bytes(one.bytes), { class: "number" }));
  if (list === "folders") made.append(element("td", one.files.toLocaleString(), { class: "number" }));
  made.append(element("td", day(one.modified), { class: "when" }));
  return made;
};

const showList = (list) => {
  const [key, direction] = sorting[list];
  const rows = [...figures[`largest_${list}`]];
  const order = (a, b) => (key === "path" ? a.path.localeCompare(b.path) : (a[key] ?? 0) - (b[key] ?? 0));
  rows.sort((a, b) => direction * order(a, b));
  replaceRows(find(`largest-${list}`), rows.map((one) => row(list, one)));
};

const showKnown = () => {
  const rows = [...figures.known].sort((a, b) => b.bytes - a.bytes).map((one) => {
    const made = element("tr");
    const { title, explanation } = known[one.key];
    const name = element("th", title, { scope: "row" });
    name.append(element("small", explanation));
    const count = element("td", one.files.toLocaleString(), { class: "number" });
    made.append(box("known", one.key, title, one.bytes), name, element("td", bytes(one.bytes), { class: "number" }), count);
    return made;
  });
  find("known").hidden = rows.length === 0;
  find("known-none").hidden = rows.length > 0;
  if (figures.done && !rows.length) put("known-none", "Nothing of this kind is in your home.");
  replaceRows(find("known"), rows);
};

const showNotes = () => {
  const { unreadable, elsewhere, foreign } = figures;
  const some = (one) => one.examples.slice(0, 3).join(", ") + (one.count > 3 ? ", …" : "");
  const notes = [];
  if (unreadable.count) notes.push(`${number(unreadable.count, "folder", "folders")} could not be read and is not counted: ${some(unreadable)}`);
  if (elsewhere.count) notes.push(`Not counted, because it is mounted here and not in your home: ${some(elsewhere)}`);
  if (foreign.count) notes.push(`${number(foreign.count, "file or folder belongs", "files and folders belong")} to other users: ${some(foreign)}`);
  if (figures.counted_twice) notes.push("There are so many files with several names that some are counted more than once.");
  find("notes").replaceChildren(...notes.map((one) => element("li", one)));
};

const show = (line) => {
  if (line.error) {
    put("progress", `Your home could not be measured: ${line.error}.`);
    return;
  }
  figures = line;
  showUse();
  put("files", line.files.toLocaleString() + (line.done ? "" : " so far"));
  if (line.done) put("progress", `Measured in ${line.seconds.toFixed(1)} s.`);
  showKnown();
  showList("folders");
  showList("files");
  showNotes();
};

const measure = async (again) => {
  find("again").disabled = true;
  put("progress", "Your home is being measured.");
  try {
    await follow(`/scan${again ? "?again=1" : ""}`, show);
  } catch (error) {
    put("progress", `Your home could not be measured: ${error.message}.`);
  }
  find("again").disabled = false;
};

const showChosen = () => {
  const all = [...chosen.paths.values(), ...chosen.known.values()];
  find("bar").hidden = all.length === 0;
  const size = all.reduce((sum, one) => sum + one.size, 0);
  put("chosen", `${number(all.length, "thing", "things")} chosen, about ${bytes(size)}`);
};

const nothing = () => {
  chosen.paths.clear();
  chosen.known.clear();
  for (const one of document.querySelectorAll("input[data-key]")) one.checked = false;
  showChosen();
};

const body = () => ({ paths: [...chosen.paths.keys()], known: [...chosen.known.keys()] });

const ask = async () => {
  find("yes").disabled = true;
  put("yes", "Delete");
  put("sure-count", "What is chosen is being counted.");
  const all = [...chosen.paths.values(), ...chosen.known.values()];
  find("sure-list").replaceChildren(...all.map((one) => element("li", one.label)));
  find("sure").showModal();
  find("no").focus();
  try {
    const found = await (await post("/count", body())).json();
    const folders = found.folders ? ` and ${number(found.folders, "folder", "folders")}` : "";
    put("sure-count", `${files(found.files)}${folders} with ${bytes(found.bytes)} will be deleted.`);
    put("yes", `Delete ${files(found.files)}`);
    find("sure-list").append(...found.refusals.map((one) => element("li", `${one.path}: ${one.why}`)));
    find("doing-bar").max = found.files + found.folders || 1;
    find("yes").disabled = false;
  } catch (error) {
    put("sure-count", error.message);
  }
};

const showDeletion = (line) => {
  if (line.error) put("doing-count", line.error);
  if (line.files === undefined) return;
  find("doing-bar").value = line.files + line.folders;
  put("doing-count", `${files(line.files)} with ${bytes(line.bytes)} ${line.done ? "are" : "so far"} deleted.`);
  const refusals = line.refusals.map((one) => element("li", `${one.path} stays: ${one.why}`));
  if (line.refused > line.refusals.length) refusals.push(element("li", `and ${line.refused - line.refusals.length} more`));
  find("doing-refusals").replaceChildren(...refusals);
};

const remove = async () => {
  const wanted = body();
  find("sure").close();
  put("doing-title", "Deleting");
  put("doing-count", "");
  find("doing-refusals").replaceChildren();
  find("doing-bar").value = 0;
  find("cancel").hidden = false;
  find("close").hidden = true;
  find("doing").showModal();
  let last = {};
  try {
    await post("/deletion", wanted);
    await follow("/deletion", (line) => {
      last = { ...last, ...line };
      showDeletion(line);
    });
    put("doing-title", last.cancelled ? "Cancelled" : "Deleted");
  } catch (error) {
    put("doing-title", "Not deleted");
    put("doing-count", error.message);
  }
  find("cancel").hidden = true;
  find("close").hidden = false;
  find("close").focus();
  nothing();
  await look();
  await measure(true);
};

const cancel = () => request("/deletion", { method: "DELETE" }).catch((error) => put("doing-count", error.message));

// Where the file system keeps a limit, its own figure counts, and beside it stands what was counted here.
const showUse = () => {
  const counted = figures ? bytes(figures.bytes) + (figures.done ? " counted" : " counted so far") : "being counted";
  const known = now.use.enforced && now.use.used_bytes !== null;
  put("used", known ? `${now.use.at_least ? "at least " : ""}${bytes(now.use.used_bytes)} (${counted})` : counted);
  const limit = now.use.limit_bytes === null ? "none but the disk" : bytes(now.use.limit_bytes);
  put("limit", now.use.limit_bytes !== null && !now.use.enforced ? `${limit}, not enforced` : limit);
  put("free", now.use.free_bytes === null ? "not known" : bytes(now.use.free_bytes));
};

const showState = () => {
  showUse();
  find("problem").hidden = !now.problem;
  put("reason", now.problem);
  find("rights").hidden = !now.can_unlock;
  find("onward").hidden = false;
  find("onward").className = now.problem ? "plain" : "";
  put("onward", now.problem ? "Open JupyterLab as it is" : "Go on to JupyterLab");
  const room = now.rescue
    ? "There is room again. Go on to JupyterLab, and your session is an ordinary one."
    : "There is room again.";
  put("room", !now.problem && (now.rescue || state.problem) ? room : "");
};

const look = async () => {
  try {
    now = await (await request("")).json();
  } catch {
    // what was known stays
  }
  showState();
};

const goOn = async () => {
  try {
    await post("/continue", {});
    location.assign(onward);
  } catch (error) {
    put("room", error.message);
  }
};

const unlock = async () => {
  try {
    await post("/rights", {});
  } catch (error) {
    put("room", error.message);
  }
  await look();
};

for (const list of ["folders", "files"]) {
  const heads = find(`largest-${list}`).tHead.querySelectorAll("th[data-sort]");
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const [key, direction] = sorting[list];
      const first = head.dataset.sort === "path" ? 1 : -1;
      sorting[list] = [head.dataset.sort, key === head.dataset.sort ? -direction : first];
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sorting[list][1] > 0 ? "ascending" : "descending");
      if (figures) showList(list);
    });
  }
}
find("again").addEventListener("click", () => measure(true));
find("delete").addEventListener("click", ask);
find("none").addEventListener("click", nothing);
find("no").addEventListener("click", () => find("sure").close());
find("yes").addEventListener("click", remove);
find("cancel").addEventListener("click", cancel);
find("close").addEventListener("click", () => {
  find("doing").close();
  window.scrollTo(0, 0);
  find("onward").focus();
});
find("doing").addEventListener("cancel", (event) => event.preventDefault());
find("onward").addEventListener("click", goOn);
find("unlock").addEventListener("click", unlock);
showState();
measure(false);
