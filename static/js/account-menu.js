/** On a phone the menu scrolls sideways: show the current page's entry. */
const menu = document.querySelector(".account-menu");
const current = menu.querySelector("[aria-current]");
if (current) menu.scrollLeft = current.offsetLeft - menu.offsetLeft - (menu.clientWidth - current.offsetWidth) / 2;
