// Times are written in the site's zone; where there is JavaScript they are shown in the zone of whoever reads.
"use strict";
for (const element of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(element.dateTime);
  if (!Number.isNaN(moment.valueOf())) {
    element.title = element.textContent;
    element.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}
