/**
 * The service worker. Pages come from the network; without one, the offline page is shown instead.
 * The cache contains only that page and its files, which are the same for everyone.
 */
import { erase, share as keepShared } from "./offline-store.js";

const PREFIX = "shell-";

/**
 * `files` are the URLs of the cache, `page` is that of the offline page among them. `share` is the URL
 * to which the operating system sends files, in the field `shared` of a form.
 */
export function start({ version, files, page, signOut, share, shared }) {
  const name = PREFIX + version;
  self.addEventListener("install", (event) => event.waitUntil(fill(name, files)));
  self.addEventListener("activate", (event) => event.waitUntil(tidy(name)));
  self.addEventListener("fetch", (event) => {
    const { request } = event;
    const url = new URL(request.url);
    if (url.origin !== self.location.origin) return;
    if (request.method === "POST" && url.pathname === signOut && isFromPage(request)) {
      event.respondWith(signedOut(request, page));
    } else if (request.method === "POST" && url.pathname === share && isOwn(request)) {
      event.respondWith(takeFiles(request, shared));
    } else if (request.method === "GET" && request.mode === "navigate") {
      event.respondWith(networkFirst(request, page));
    } else if (files.includes(url.pathname)) {
      event.respondWith(networkFirst(request, url.pathname));
    }
  });
}

async function fill(name, files) {
  const cache = await caches.open(name);
  await cache.addAll(files.map((url) => new Request(url, { cache: "reload" })));
  await self.skipWaiting();
}

async function tidy(name) {
  const names = await caches.keys();
  const outdated = names.filter((other) => other.startsWith(PREFIX) && other !== name);
  await Promise.all(outdated.map((other) => caches.delete(other)));
  await self.clients.claim();
}

/** The response of the server, or the one from the cache if it cannot be reached. */
async function networkFirst(request, url) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(url, { ignoreVary: true })) ?? Response.error();
  }
}

/**
 * Whether it comes from no other site: the operating system sends it without a referrer, as a
 * navigation. A site can hide its referrer, so the library asks before it uploads the files.
 */
function isOwn({ referrer, destination }) {
  const isHere = !referrer || referrer === "about:client" || new URL(referrer).origin === self.location.origin;
  return isHere && destination === "document";
}

/** Whether a page of ours sent it: another site cannot sign anybody out, and must not erase anything. */
function isFromPage({ referrer }) {
  return referrer !== "" && new URL(referrer).origin === self.location.origin;
}

/**
 * Keeps the files before the request, because the server may be unreachable or require a sign-in.
 */
async function takeFiles(request, field) {
  try {
    const files = (await request.formData()).getAll(field).filter(({ size }) => size);
    if (!files.length) throw new Error("no files");
    await keepShared(files);
    return Response.redirect(request.url, 303);
  } catch {
    return Response.redirect(`${request.url}?failed`, 303);
  }
}

/** Erases before the request, so that nothing is left if the browser is closed meanwhile. */
async function signedOut(request, page) {
  await erase().catch(() => {});
  return networkFirst(request, page);
}
