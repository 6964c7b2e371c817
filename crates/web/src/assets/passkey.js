// Passkeys: a form that has a field for what an authenticator signs asks for it before it is sent. The field carries what the
// browser is to be asked (WebAuthn, JSON form), and gets the answer.

const bytes = (text) => {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
};
const text = (buffer) => {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};
const known = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function registered(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  const publicKey = { ...options, user, challenge: bytes(options.challenge), excludeCredentials: known(options.excludeCredentials) };
  const made = await navigator.credentials.create({ publicKey });
  return answer(made, {
    attestationObject: text(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function signed(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) };
  const made = await navigator.credentials.get({ publicKey });
  return answer(made, {
    authenticatorData: text(made.response.authenticatorData),
    signature: text(made.response.signature),
    userHandle: made.response.userHandle ? text(made.response.userHandle) : null,
  });
}

function answer(made, response) {
  response.clientDataJSON = text(made.response.clientDataJSON);
  return { id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} };
}

/** What went wrong, and what helps. */
function trouble(error, field) {
  if (error.name === "InvalidStateError") return "This device has a passkey here already.";
  if (window.location.origin !== field.dataset.origin) return `Passkeys work on ${field.dataset.origin}: open this page there.`;
  if (!navigator.credentials) return "This browser knows no passkeys.";
  return "The passkey was not used, so nothing was sent. Press the button to try again.";
}

// While it is being listened to, before the script that watches over what is sent.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const field = form.querySelector("input[data-passkey]");
  if (!field || field.value !== "") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (form.ariaBusy === "true") return;
  const says = form.querySelector(".passkey-says");
  says.textContent = "";
  form.ariaBusy = "true";
  try {
    const options = JSON.parse(field.dataset.options);
    const made = await (field.dataset.passkey === "create" ? registered(options) : signed(options));
    field.value = JSON.stringify(made);
    form.requestSubmit(event.submitter);
  } catch (error) {
    says.textContent = trouble(error, field);
  } finally {
    form.ariaBusy = null;
  }
}, true);
