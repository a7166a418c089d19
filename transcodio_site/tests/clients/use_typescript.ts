/** Uploads a recording with the generated client and prints its title and text. */
import { openAsBlob } from "node:fs";
import { client } from "./client/client.gen.js";
import { getTranscription, transcribe } from "./client/index.js";

const [url, token, path] = process.argv.slice(2) as [string, string, string];
client.setConfig({ baseUrl: url, auth: () => token });
const file = new File([await openAsBlob(path)], "short.mp3", { type: "audio/mpeg" });
const created = await transcribe({ body: { file, title: "Generated" }, throwOnError: true });
const found = await getTranscription({
  path: { transcription_id: created.data.id },
  throwOnError: true,
});
console.log(found.data.title, found.data.text);
