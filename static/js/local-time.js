/** <local-time datetime="...">: a moment in the reader's own time zone and habit. */
const minute = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const thisYear = new Intl.DateTimeFormat(undefined, minute);
const earlier = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

customElements.define("local-time", class extends HTMLElement {
  connectedCallback() {
    const moment = new Date(this.getAttribute("datetime"));
    if (Number.isNaN(moment.getTime())) return; // then the server's own text stays
    const recent = moment.getFullYear() === new Date().getFullYear();
    this.textContent = (recent ? thisYear : earlier).format(moment);
    this.title = full.format(moment);
  }
});
