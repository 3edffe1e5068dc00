// Reads an AsyncAPI document with AsyncAPI's own parser: node check.js FILE. Exit code 0 when it finds nothing to say.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const [path] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(await readFile(path, "utf8"), { source: path });
const grave = ["error", "warning", "info", "hint"];
for (const one of diagnostics) {
  console.error(`${grave[one.severity]} ${one.code} at ${one.path.join(".") || "the top"}: ${one.message}`);
}
if (document === undefined || diagnostics.length > 0) {
  process.exitCode = 1;
} else {
  console.log(
    JSON.stringify({
      asyncapi: document.version(),
      channels: document.channels().all().map((channel) => channel.address()),
      operations: document.operations().all().map((operation) => operation.id()),
      messages: document.components().messages().all().map((message) => message.name()),
      examples: document
        .components()
        .messages()
        .all()
        .reduce((count, message) => count + message.examples().all().length, 0),
    }),
  );
}
