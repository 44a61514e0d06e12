// Keeps the page of a waiting start up to date; without it the page reloads itself.
"use strict";

const box = document.getElementById("start");
const bar = document.getElementById("bar");

const put = (id, text) => {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
};
const mebibytes = (count) => `${(count / 2 ** 20).toFixed(1)} MiB`;
const duration = (seconds) => {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return minutes ? `${minutes} min ${String(seconds % 60).padStart(2, "0")} s` : `${seconds} s`;
};

const show = (start) => {
  const progress = start.progress;
  if (progress && progress.total) {
    bar.max = progress.total;
    bar.value = progress.done;
    put("packages", `${progress.done} of ${progress.total} packages`);
  }
  if (progress && progress.bytes_total) {
    put("bytes", `${mebibytes(progress.bytes_done)} of ${mebibytes(progress.bytes_total)}`);
  }
  if (progress) put("step", progress.step);
  if (start.state === "starting") put("step", "The environment is ready; the session is being started.");
  put("message", start.message);
  put("elapsed", duration(start.elapsed_seconds));
  put("others", start.others ? `${start.others} more wait for the same environment.` : "");
};

const look = async () => {
  try {
    const answer = await fetch(box.dataset.state, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401) return location.reload();
    if (answer.ok) {
      const start = await answer.json();
      // The page itself knows where to go on: to the session and the page that was asked for, or to what went wrong.
      if (start.state !== "waiting" && start.state !== "starting") return location.reload();
      show(start);
    }
  } catch {
    put("message", "The platform does not answer; this page goes on trying.");
  }
  setTimeout(look, 1000);
};

setTimeout(look, 1000);
