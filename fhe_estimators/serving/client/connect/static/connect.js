// The page of `fhe-estimators connect`. Whatever comes from the service or from a file is put into the page as text,
// never as markup. The token is in the address's fragment, which no browser sends; it moves to this tab's memory.
"use strict";

const TOKEN_KEY = "fhe-estimators-token";
const POLL_MILLISECONDS = 250;
const byId = (name) => document.getElementById(name);

if (location.hash.length > 1) {
  sessionStorage.setItem(TOKEN_KEY, location.hash.slice(1));
  history.replaceState(null, "", "/");
}
let model = null;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN_KEY) || ""}`, ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch {
    throw new Error("fhe-estimators connect does not answer: was it ended in its terminal? Start it again.");
  }
  if (!response.ok) {
    let detail = `The request failed (HTTP ${response.status}).`;
    try {
      detail = (await response.json()).detail || detail;
    } catch {
      // no JSON: the status says what there is to say
    }
    throw new Error(detail);
  }
  return response;
}

function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = !text;
  if (text) byId("error").scrollIntoView({ block: "nearest" });
}

function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
    if (count >= size) return `${Number((count / size).toPrecision(3))} ${unit}`;
  return `${count} bytes`;
}
const seconds = (value) => `${Number(value.toPrecision(value < 10 ? 2 : 3))} s`;
const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + number(Math.abs(value));

function showFacts() {
  const facts = model.facts;
  const rows = [
    ["Service", model.url],
    ["Security", facts.security_bits ? `${facts.security_bits} bits, ${facts.scheme}` : "NOT ENCRYPTED: the service reads rows and scores"],
    ["The service sees", facts.server_sees],
    ["Sent once", `evaluation keys, ${bytes(facts.evaluation_key_bytes || 0)}`],
  ];
  for (const [title, text] of rows)
    if (text) byId("facts").append(element("dt", { textContent: title }), element("dd", { textContent: text }));
  if (!facts.security_bits) {
    byId("lead").className = "error";
    byId("lead").textContent = "This model is served without encryption, for tests: the service reads the rows and the scores.";
  }
  byId("title").textContent = `Score encrypted rows: ${model.name}`;
}

function field(feature, place) {
  const name = `feature-${place}`;
  let input;
  if (feature.options) {
    const options = feature.options.map((text, index) => element("option", { value: String(index), textContent: text }));
    input = element("select", { id: name }, element("option", { value: "", textContent: "(missing)" }), ...options);
  } else {
    input = element("input", { id: name, type: "text", inputMode: "decimal", required: !feature.may_be_missing });
  }
  const label = element("label", { htmlFor: name, textContent: feature.name });
  label.dir = "auto";
  const made = element("div", { className: "field" }, label, input);
  const canStay = feature.may_be_missing && !feature.options && !allMayBeMissing() ? "may be empty" : "";
  const hint = [feature.hint, canStay].filter(Boolean).join("; ");
  if (hint) {
    made.append(element("span", { className: "quiet", id: `${name}-hint`, textContent: hint }));
    input.setAttribute("aria-describedby", `${name}-hint`);
  }
  return made;
}

function allMayBeMissing() {
  return model.features.every((feature) => feature.may_be_missing);
}

function inputs() {
  return model.features.map((_, place) => byId(`feature-${place}`));
}

function showForm() {
  byId("fields").append(...model.features.map(field));
  const count = `${model.features.length} ${model.features.length === 1 ? "feature" : "features"}`;
  byId("fields-summary").textContent = allMayBeMissing() ? `${count}; leave empty what is missing` : count;
  byId("fields-box").open = model.features.length <= 100;
  for (const box of document.querySelectorAll(".with-reasons")) {
    box.hidden = !model.has_reasons;
    if (!model.has_reasons) box.querySelector("input").checked = false;
  }
  byId("inputs").hidden = false;
}

// --- asking for scores ---

function setBusy(isBusy) {
  for (const button of document.querySelectorAll("button.primary")) button.disabled = isBusy;
  byId("running").hidden = !isBusy;
}

async function score(path, body, type) {
  showError("");
  byId("notes").replaceChildren();
  byId("results").replaceChildren();
  byId("outcome").hidden = false;
  byId("progress").removeAttribute("value");
  byId("progress-text").textContent = "Reading and encrypting";
  setBusy(true);
  try {
    const headers = { "Content-Type": type };
    const { job } = await (await ask(path, { method: "POST", body, headers })).json();
    byId("cancel").onclick = () => ask(`/api/jobs/${job}`, { method: "DELETE" }).catch((error) => showError(error.message));
    for (;;) {
      const status = await (await ask(`/api/jobs/${job}`)).json();
      if (status.state !== "running") {
        finish(job, status);
        break;
      }
      showProgress(status);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  } catch (error) {
    byId("outcome").hidden = true;
    showError(error.message);
  } finally {
    setBusy(false);
  }
}

function showProgress(status) {
  if (status.done) {
    byId("progress").max = status.rows;
    byId("progress").value = status.done;
  }
  const about = status.forecast_seconds >= 1 ? `, about ${seconds(status.forecast_seconds)} of computation` : "";
  byId("progress-text").textContent =
    `${status.done.toLocaleString("en")} of ${status.rows.toLocaleString("en")} rows scored, ${seconds(status.seconds)}${about}`;
}

function finish(job, status) {
  if (status.state !== "done") {
    byId("outcome").hidden = true;
    showError(status.state === "cancelled" ? "Cancelled: no scores are kept." : status.error);
    return;
  }
  byId("notes").append(...status.notes.map((note) => element("li", { textContent: note })));
  const results = byId("results");
  if (status.rows === 1) results.append(...oneRow(status.results[0]));
  else results.append(...table(status));
  const download = element("button", { type: "button", id: "download", textContent: "Download as CSV" });
  download.onclick = () => save(job);
  results.append(element("div", { className: "actions" }, download), traffic(status));
  byId("outcome-title").focus();
}

function traffic(status) {
  const requests = `${status.requests} ${status.requests === 1 ? "request" : "requests"}`;
  const kind = model.facts.security_bits ? "encrypted" : "UNENCRYPTED";
  const sent = [`${bytes(status.request_bytes)} of ${kind} rows in ${requests}`];
  if (status.key_bytes) sent.push(`${bytes(status.key_bytes)} of evaluation keys, once`);
  const list = element("dl", { id: "traffic" });
  const rows = [
    ["Left this machine", sent.join(", ")],
    ["Came back", `${bytes(status.response_bytes)} of ${kind} scores`],
    ["Took", `${seconds(status.seconds)}, encryption and decryption here included`],
  ];
  for (const [title, text] of rows) list.append(element("dt", { textContent: title }), element("dd", { textContent: text }));
  return list;
}

async function save(job) {
  try {
    const content = await (await ask(`/api/jobs/${job}/scores.csv`)).blob();
    const link = element("a", { href: URL.createObjectURL(content), download: "scores.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    showError(error.message);
  }
}

// --- showing scores ---

const prediction = (row) => row.predictions.map(number).join(", ");
const best = (probabilities) => probabilities.map((labels) => Math.max(...labels.map((pair) => pair[1])));

function oneRow(row) {
  const made = [element("p", { className: "answer", id: "answer", textContent: prediction(row) })];
  for (const [output, labels] of row.probabilities.entries()) {
    const lines = labels.map(([label, value]) => [label, number(value)]);
    const title = row.probabilities.length > 1 ? `Probabilities of output ${output}` : "Probabilities";
    made.push(element("h3", { textContent: title }), grid(["class", "probability"], lines, [false, true], "small"));
  }
  if (row.margins)
    made.push(element("p", { id: "margin", textContent: `Margin: ${row.margins.map(number).join(", ")}` }), marginText());
  return [...made, ...reasons(row)];
}

function marginText() {
  const text =
    model.task === "outliers"
      ? "The distance of the score from the border between inliers and outliers."
      : "How far the score is from another class: its distance from the border of two classes, or from the next best one.";
  return element("p", { className: "quiet", textContent: text });
}

function grid(titles, lines, areNumbers, size = "") {
  const head = titles.map((title, j) => element("th", { scope: "col", textContent: title, className: areNumbers[j] ? "number" : "" }));
  const body = lines.map((cells) =>
    element("tr", {}, ...cells.map((cell, j) => {
      const made = element("td", { className: areNumbers[j] ? "number" : "" });
      made.append(cell instanceof Node ? cell : String(cell));
      return made;
    })),
  );
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  const box = element("div", { className: `scroll ${size}`, tabIndex: 0 }, made);
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", titles.join(", "));
  return box;
}

function table(status) {
  const rows = status.results;
  const first = rows[0];
  const why = element("div", { id: "why" });
  const titles = ["row", "prediction"];
  if (first.probabilities.length) titles.push("probability");
  if (first.margins) titles.push("margin");
  if (first.reasons.length) titles.push("reasons");
  const lines = rows.map((row, place) => {
    const cells = [String(place + 1), prediction(row)];
    if (first.probabilities.length) cells.push(best(row.probabilities).map(number).join(", "));
    if (first.margins) cells.push(row.margins.map(number).join(", "));
    if (row.reasons.length) {
      const button = element("button", { type: "button", textContent: "Show" });
      button.setAttribute("aria-label", `Show the reasons of row ${place + 1}`);
      button.onclick = () => {
        why.replaceChildren(element("h3", { textContent: `Row ${place + 1}: ${prediction(row)}` }), ...reasons(row));
        why.scrollIntoView({ block: "nearest" });
      };
      cells.push(button);
    }
    return cells;
  });
  const areNumbers = titles.map((title) => ["row", "probability", "margin"].includes(title));
  const text =
    status.rows > rows.length
      ? `The first ${rows.length} of ${status.rows.toLocaleString("en")} rows; the file has all of them.`
      : `${status.rows.toLocaleString("en")} rows.`;
  const made = [element("p", { textContent: text }), grid(titles, lines, areNumbers), why];
  if (first.margins) made.push(marginText());
  return made;
}

function reasons(row) {
  const made = [];
  for (const reason of row.reasons) {
    const largest = Math.max(...reason.features.map(([, value]) => Math.abs(value)), 1e-300);
    const lines = reason.features.map(([name, value]) => {
      const bar = element("span");
      bar.style.width = `${(50 * Math.abs(value)) / largest}%`;
      const box = element("div", { className: value < 0 ? "bar minus" : "bar" }, bar);
      box.setAttribute("aria-hidden", "true");
      const title = element("th", { scope: "row", textContent: name });
      return element("tr", {}, title, element("td", { className: "number", textContent: signed(value) }), element("td", {}, box));
    });
    const rest = reason.other_features === null ? "" : `, other features ${signed(reason.other_features)}`;
    made.push(
      element("h3", { textContent: `Reasons: contributions to the score of ${reason.to}` }),
      element("table", { className: "bars" }, element("tbody", {}, ...lines)),
      element("p", {
        className: "quiet",
        textContent: `Of no feature ${signed(reason.of_no_feature)}${rest}; the sum is ${signed(reason.sum)}.`,
      }),
    );
  }
  return made;
}

// --- what a person does ---

byId("row").addEventListener("submit", (event) => {
  event.preventDefault();
  const found = inputs();
  for (const input of found) {
    const isFaulty = input.required && !input.value.trim();
    input.classList.toggle("faulty", isFaulty);
    input.setAttribute("aria-invalid", String(isFaulty));
  }
  const faulty = found.filter((input) => input.classList.contains("faulty"));
  if (faulty.length) {
    byId("fields-box").open = true;
    faulty[0].focus();
    const names = faulty.slice(0, 5).map((input) => model.features[found.indexOf(input)].name);
    showError(`The model takes no missing values: fill in ${names.join(", ")}${faulty.length > 5 ? " and others" : ""}.`);
    return;
  }
  const values = found.map((input) => input.value || null);
  score(`/api/row?reasons=${byId("row-reasons").checked}`, JSON.stringify(values), "application/json");
});

byId("table").addEventListener("submit", (event) => {
  event.preventDefault();
  const file = byId("file").files[0];
  if (!file) {
    showError("Choose a CSV file first.");
    return;
  }
  score(`/api/table?reasons=${byId("table-reasons").checked}`, file, "text/csv");
});

// A file that is dropped beside the box would else replace the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
for (const [kind, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]])
  byId("drop").addEventListener(kind, () => byId("drop").classList.toggle("over", isOver));
byId("drop").addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length !== 1) {
    showError("Drop one file.");
    return;
  }
  byId("file").files = event.dataTransfer.files;
  byId("table").requestSubmit();
});

ask("/api/model")
  .then((response) => response.json())
  .then((found) => {
    model = found;
    showFacts();
    showForm();
  })
  .catch((error) => showError(error.message));
