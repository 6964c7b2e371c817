function effect(one) {
  const changes = (one.changes || []).slice(0, 12).map((change) => make("div", { class: "soft" }, human(change.field) + ": " + (change.from ? change.from + " → " : "") + change.to));
  return make("li", {}, make("strong", {}, human(one.operation) + " " + human(one.recordType) + ": "), one.title || "", ...changes);
}
function link(one) {
  return make("li", {}, make("button", { onclick: () => host.link(one.url) }, human(one.recordType) + " " + (one.title || one.id)));
}
host.begin((data) => {
  if (data.error) return main.replaceChildren(problem(data));
  const action = data.action && data.action.card ? data.action : null;
  const card = action ? action.card : data.approval && data.approval.card;
  const state = action ? action.status : data.status;
  const effects = (card && card.effects) || data.effects || [];
  const id = action ? action.id : data.action && data.action.id;
  const waits = state === "pending_approval";
  const done = [...((action || data).created || []), ...((action || data).updated || [])];
  main.replaceChildren(
    make("div", { class: "row" }, pill(state), card && card.release ? make("span", { class: "soft" }, card.release.name) : null),
    make("h1", {}, (card && card.summary) || (action && action.title) || "Preview of a write"),
    card ? make("p", {}, card.reason) : null,
    facts([
      ["Asked for by", card && card.requestedBy && card.requestedBy.email],
      ["Agent", card && card.agent && card.agent.name],
      ["Team", card && card.team && card.team.name],
      ["Must approve", (card && card.policySentence) || (data.preview && data.preview.approvers)],
      ["Until", waits && card ? when(card.expiresAt) : ""],
      ["Rejected because", action && action.rejectionReason],
      ["Audit record", (action || data).audit && (action || data).audit.sequence],
    ]),
    make("div", { class: "row" },
      card ? make("button", { class: waits ? "main" : "", onclick: () => host.link(card.url) }, waits ? "Open to decide" : "Open in LoopIQ") : null,
      id && (waits || state === "approved") ? make("button", { onclick: () => host.call("loopiq_get_action", { actionId: id }) }, "Look again") : null),
    waits ? make("p", { class: "soft" }, "Nothing was changed yet. A person decides in LoopIQ, signed in; this card cannot approve.") : null,
    effects.length ? make("h2", {}, waits || state === "preview" ? "What would change" : "What it was about") : null,
    effects.length ? make("ul", {}, ...effects.slice(0, 60).map(effect)) : null,
    done.length ? make("h2", {}, "Done") : null,
    done.length ? make("ul", {}, ...done.slice(0, 60).map(link)) : null,
  );
});
</script>
</html>
