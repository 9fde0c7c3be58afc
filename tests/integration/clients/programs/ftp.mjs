// ftp (npm) as programs.py drives it: a session from standard input, one line an operation, one line an answer.

import { createReadStream, createWriteStream, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";

const Client = createRequire(`${process.env.NODE_PATH}/`)("ftp");
const [first, ...lines] = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
const [host, port, mode, user, password, authority] = first.split("\t");
const secure = { clear: false, explicit: true, implicit: "implicit" }[mode];
const client = new Client();
const call = (name, ...given) => promisify(client[name]).apply(client, given);

// The data begins to flow as soon as the callback returns: a promise would lose the first of it.
function fetch(remote, local, flags) {
  return new Promise((resolve, reject) => {
    client.get(remote, (error, data) => {
      if (error) {
        reject(error);
        return;
      }
      data.once("error", reject);
      data.pipe(createWriteStream(local, { flags })).once("error", reject).once("close", resolve);
    });
  });
}

const operations = {
  list: async (directory) => (await call("list", directory)).map((entry) => entry.name),
  put: (local, remote) => call("put", createReadStream(local), remote),
  get: (remote, local) => fetch(remote, local, "w"),
  resume_get: async (remote, local) => {
    await call("restart", statSync(local).size);
    await fetch(remote, local, "a");
  },
  resume_put: async (local, remote) => {
    const there = await call("size", remote);
    await call("append", createReadStream(local, { start: there }), remote);
  },
  append: (local, remote) => call("append", createReadStream(local), remote),
  rename: (before, after) => call("rename", before, after),
  make_directory: (path) => call("mkdir", path),
  remove_directory: (path) => call("rmdir", path),
  delete: (path) => call("delete", path),
  get_time: async (path) => [String((await call("lastMod", path)).getTime() / 1000)],
  set_time: (path, stamp) => promisify(client._send).call(client, `MFMT ${stamp} ${path}`),
};

function connect() {
  return new Promise((resolve, reject) => {
    client.once("ready", resolve);
    client.once("error", reject);
    const secureOptions = { ca: readFileSync(authority), host };
    client.connect({ host, port: Number(port), user, password, secure, secureOptions, connTimeout: 20000 });
  });
}

let connected = false;
for (const line of lines) {
  const [operation, ...given] = line.split("\t");
  try {
    if (!connected) {
      await connect();
      connected = true;
    }
    const told = await operations[operation](...given);
    console.log(["ok", ...(Array.isArray(told) ? told : [])].join("\t"));
  } catch (error) {
    console.log(`error\t${String(error).replace(/\s+/g, " ")}`);
  }
}
client.end();
