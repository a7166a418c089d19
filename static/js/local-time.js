/**
 * <local-time [data-style="date"]><time datetime="...">: a moment in the reader's time zone, in the
 * language of the page. Until this script runs, the server's text is shown, in UTC.
 */
import { date, dateAndTime, full } from "./dates.js";

customElements.define("local-time", class extends HTMLElement {
  connectedCallback() {
    const time = this.querySelector("time");
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) return; // keep the server's text
    time.textContent = (this.dataset.style === "date" ? date : dateAndTime).format(moment);
    time.title = full.format(moment);
  }
});
