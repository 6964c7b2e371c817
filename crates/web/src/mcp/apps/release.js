const columns = ["release", "certification", "control", "evidence", "evidence_gap", "finding", "provider_blocker", "exception", "risk", "work_item"];
const NS = "http://www.w3.org/2000/svg";
function draw(tag, attributes, text) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}
// One column for each kind, in the order in which one thing leads to the next.
function graph(nodes, edges) {
  const kinds = [...new Set(nodes.map((node) => node.kind))].sort((a, b) => (columns.indexOf(a) + 99) % 99 - (columns.indexOf(b) + 99) % 99);
  const wide = 200, high = 34, gap = 12, at = new Map();
  const filled = kinds.map(() => 0);
  for (const node of nodes) {
    const column = kinds.indexOf(node.kind);
    at.set(node.id, { x: 12 + column * (wide + 60), y: 34 + filled[column] * (high + gap) });
    filled[column] += 1;
  }
  const width = 24 + kinds.length * (wide + 60) - 60, height = 46 + Math.max(1, ...filled) * (high + gap);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `Evidence graph of ${nodes.length} records` });
  kinds.forEach((kind, column) => svg.append(draw("text", { x: 12 + column * (wide + 60), y: 20, "font-weight": 600 }, human(kind))));
  for (const edge of edges) {
    const from = at.get(edge.from), to = at.get(edge.to);
    if (!from || !to) continue;
    const [left, right] = from.x <= to.x ? [from, to] : [to, from];
    const x1 = left.x + wide, y1 = left.y + high / 2, x2 = right.x, y2 = right.y + high / 2;
    svg.append(draw("path", { d: `M${x1} ${y1} C${x1 + 30} ${y1} ${x2 - 30} ${y2} ${x2} ${y2}` }));
  }
  for (const node of nodes) {
    const { x, y } = at.get(node.id);
    const label = node.count > 1 ? `${node.count} × ${node.label}` : node.label;
    const box = draw("g", {});
    box.append(draw("title", {}, `${label}: ${human(node.status)}`), draw("rect", { x, y, width: wide, height: high, rx: 8, class: tones[node.status] || "" }),
      draw("text", { x: x + 8, y: y + 21 }, label.length > 25 ? label.slice(0, 24) + "…" : label));
    svg.append(box);
  }
  return make("div", { class: "graph", tabindex: "0" }, svg);
}
const listed = (title, items, show) => items && items.length ? [make("h2", {}, `${title} (${items.length})`), make("ul", {}, ...items.slice(0, 60).map(show))] : [];
host.begin((data) => {
  if (data.error) return main.replaceChildren(problem(data));
  const release = data.release, certification = data.certification;
  const url = (certification || release || data).url;
  const name = certification ? certification.title : release ? release.name : "Evidence graph";
  const reference = data.releaseId || (release && release.id) || (certification && certification.release && certification.release.id);
  const readiness = certification && certification.readiness;
  const summary = data.summary || {};
  const entry = (one) => make("li", {}, pill(one.status), " ", one.text);
  main.replaceChildren(
    make("div", { class: "row" }, certification ? pill(certification.status) : release ? pill(release.status) : null, readiness ? pill(readiness.verdict) : null),
    make("h1", {}, name),
    facts([
      ["Score", readiness && String(readiness.score)],
      ["Release", certification && certification.release && certification.release.name],
      ["Team", (certification || release || {}).team && (certification || release).team.name],
      ["Environment", release && release.targetEnvironment],
      ["Open gaps", certification && String(certification.openGapCount)],
      ["Open blockers", certification && String(certification.openBlockerCount)],
    ]),
    make("div", { class: "row" },
      url ? make("button", { class: "main", onclick: () => host.link(url) }, "Open in LoopIQ") : null,
      !data.nodes && reference ? make("button", { onclick: () => host.call("loopiq_get_release_certification_evidence_graph", { release: reference, group: true }) }, "Show the evidence graph") : null),
    ...(data.nodes ? [graph(data.nodes, data.edges || [])] : []),
    ...listed("Controls", data.controls, (control) => make("li", {}, pill(control.outcome), " ", make("strong", {}, control.code), " ", control.explanation || "")),
    ...listed("Checks", release && release.checks, (check) => make("li", {}, pill(check.status), " ", check.name || "")),
    ...listed("Failed controls", summary.failedControls, entry),
    ...listed("Evidence gaps", summary.evidenceGaps, entry),
    ...listed("Provider blockers", summary.providerBlockers, entry),
  );
});
</script>
</html>
