// basic-ftp (npm) as programs.py drives it: a session from standard input, one line an operation, one line an answer.

import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";

const { Client } = createRequire(`${process.env.NODE_PATH}/`)("basic-ftp");
const [first, ...lines] = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
const [host, port, mode, user, password, authority] = first.split("\t");
const client = new Client(20000);
const secure = { clear: false, explicit: true, implicit: "implicit" }[mode];
const secureOptions = { ca: readFileSync(authority), host };

const operations = {
  list: async (directory) => (await client.list(directory)).map((entry) => entry.name),
  put: (local, remote) => client.uploadFrom(local, remote),
  get: (remote, local) => client.downloadTo(local, remote),
  resume_get: (remote, local) => client.downloadTo(local, remote, statSync(local).size),
  resume_put: async (local, remote) => client.appendFrom(local, remote, { localStart: await client.size(remote) }),
  append: (local, remote) => client.appendFrom(local, remote),
  rename: (before, after) => client.rename(before, after),
  make_directory: (path) => client.send(`MKD ${path}`),
  remove_directory: (path) => client.removeEmptyDir(path),
  delete: (path) => client.remove(path),
  get_time: async (path) => [String((await client.lastMod(path)).getTime() / 1000)],
  set_time: (path, stamp) => client.send(`MFMT ${stamp} ${path}`),
  mirror_up: (local, remote) => client.uploadFromDir(local, remote),
  mirror_down: (remote, local) => client.downloadToDir(local, remote),
};

let connected = false;
for (const line of lines) {
  const [operation, ...given] = line.split("\t");
  try {
    if (!connected) {
      await client.access({ host, port: Number(port), user, password, secure, secureOptions });
      connected = true;
    }
    const told = await operations[operation](...given);
    console.log(["ok", ...(Array.isArray(told) ? told : [])].join("\t"));
  } catch (error) {
    console.log(`error\t${String(error).replace(/\s+/g, " ")}`);
  }
}
client.close();
