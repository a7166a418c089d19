/** Copies a text as plain text and as HTML. Resolves to whether that succeeded. */
export async function copy(plain, html) {
  const contents = Object.entries({ "text/plain": plain, "text/html": html });
  const blobs = contents.map(([type, content]) => [type, new Blob([content], { type })]);
  try {
    await navigator.clipboard.write([new ClipboardItem(Object.fromEntries(blobs))]);
    return true;
  } catch { // no permission, or not a secure context: plain HTTP in a local network
    return copyByEvent(contents);
  }
}

function copyByEvent(contents) {
  const take = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    for (const [type, content] of contents) event.clipboardData.setData(type, content);
  };
  document.addEventListener("copy", take, { capture: true });
  const isCopied = document.execCommand("copy");
  document.removeEventListener("copy", take, { capture: true });
  return isCopied;
}
