// The page talks to the same API as everybody else; nothing here is private to it.
"use strict";

const $ = (id) => document.getElementById(id);
const SOURCES = {name: "named tile by tile", find: "found near your taste", count: "often liked together", text: "of the same words", walk: "liked together with its like", popular: "liked by many"};

let user = localStorage.getItem("tessera.user");
if (!user) {
  user = "page-" + Math.random().toString(36).slice(2, 12);
  localStorage.setItem("tessera.user", user);
}
let liked = JSON.parse(localStorage.getItem("tessera.liked") || "[]");

async function call(method, path, body) {
  const key = sessionStorage.getItem("tessera.key");
  const headers = {"Content-Type": "application/json"};
  if (key) headers.Authorization = "Bearer " + key;
  const reply = await fetch(path, {method, headers, body: body && JSON.stringify(body)});
  if (reply.status === 401 && !key) {
    const given = prompt("This service asks for an API key:");
    if (given) {
      sessionStorage.setItem("tessera.key", given);
      return call(method, path, body);
    }
  }
  const json = reply.status === 204 ? null : await reply.json();
  if (!reply.ok) throw new Error(json.detail || reply.statusText);
  return json;
}

function element(tag, options, ...children) {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
}

const titleOf = (item) => (item.title || item.item_id) + (item.attributes && item.attributes.year ? ` (${item.attributes.year})` : "");
const say = (text) => { $("message").textContent = text; };

function showLiked() {
  $("none").hidden = liked.length > 0;
  $("liked").replaceChildren(...liked.map((item) => element("li", {},
    element("button", {type: "button", title: "take it away", onclick: () => unlike(item)}, titleOf(item) + " ×"))));
}

function keep() {
  localStorage.setItem("tessera.liked", JSON.stringify(liked));
  showLiked();
  return refresh();
}

async function like(item) {
  $("search").value = "";
  $("found").replaceChildren();
  if (!liked.some((other) => other.item_id === item.item_id)) {
    liked.push({item_id: item.item_id, title: item.title, attributes: item.attributes});
    await keep();
  }
}

function unlike(item) {
  liked = liked.filter((other) => other.item_id !== item.item_id);
  return keep();
}

function showTiles(codes) {
  return element("span", {className: "tiles", title: "its semantic ID"},
    ...codes.map((code, level) => element("span", {}, String.fromCharCode(97 + level) + code)));
}

function showItem(entry, requestId) {
  const reasons = entry.reasons.map((reason) => reason.text).join("; ");
  const card = element("li", {}, element("span", {className: "rank"}, String(entry.rank)),
    element("div", {},
      element("div", {className: "title"}, titleOf(entry.item)),
      element("div", {className: "quiet"}, (entry.item.categories || []).join(" · ")),
      element("p", {className: "why"}, reasons + " — " + SOURCES[entry.source] + " ", showTiles(entry.semantic_id))),
    element("button", {type: "button", className: "seen", onclick: () => seen(entry, requestId)}, "Seen it"));
  card.dataset.item = entry.item_id;
  return card;
}

async function seen(entry, requestId) {
  await call("POST", "/v1/events", {user_id: user, item_id: entry.item_id, type: "seen", request_id: requestId, position: entry.rank});
  return refresh();
}

const KINDS = {evidence: "In common", preference: "Your taste", intent: "What comes next", plan: "This list", cleaned: "Left out"};
function showReasons(slate) {
  const reasons = slate.reasons || [];
  $("reasoning").hidden = !reasons.length;
  $("reasons").replaceChildren(...reasons.map((reason) => element("li", {className: reason.kind},
    element("b", {}, KINDS[reason.kind] + ": "), reason.text)));
  if (!reasons.length) return;
  const dropped = slate.claims.dropped;
  $("claims").textContent = `${reasons.length} claims, each checked` + (dropped ? `; ${dropped} more did not hold and ${dropped === 1 ? "is" : "are"} not shown.` : ".");
}

let canReason = false; // whether the version in service gives reasons: every slate says it
let turn = 0;
async function refresh() {
  const mine = ++turn;
  const mood = $("mood").value.trim();
  const thinks = !mood && canReason && $("reason").checked;
  if (!liked.length && !mood) {
    $("slate").replaceChildren();
    $("reasoning").hidden = true;
    say("Like something, or say what it should be about, and a list appears here.");
    return;
  }
  try {
    const body = {user_id: user, history: liked.map((item) => item.item_id), n: 10};
    if (mood) body.query = mood;
    if (thinks) body.mode = "reason";
    if ($("genre").value) body.categories = [$("genre").value];
    const slate = await call("POST", "/v1/recommendations", body);
    if (mine !== turn) return;
    $("slate").replaceChildren(...slate.items.map((entry) => showItem(entry, slate.request_id)));
    if (slate.model.modes.includes("reason") !== canReason) {
      canReason = !canReason;
      $("explain").hidden = !canReason;
      if (canReason && $("reason").checked && !mood) return refresh();
    }
    showReasons(slate);
    $("version").textContent = `version ${slate.model.version}, ${slate.timing_ms.total.toFixed(1)} ms`;
    say(slate.items.length < 10 ? "No more films fit." : "");
    for (const entry of slate.items) for (const genre of entry.item.categories || []) addGenre(genre);
  } catch (error) {
    if (thinks && /^mode:/.test(error.message)) { // a version came into service that gives none
      canReason = false;
      $("explain").hidden = true;
      return refresh();
    }
    say("The service says: " + error.message);
  }
}

function addGenre(genre) {
  const known = [...$("genre").options].map((option) => option.value);
  if (!known.includes(genre)) $("genre").append(element("option", {value: genre}, genre));
}

let typing;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const words = $("search").value.trim();
    if (!words) return $("found").replaceChildren();
    try {
      const found = await call("GET", "/v1/items?limit=8&q=" + encodeURIComponent(words));
      $("found").replaceChildren(...found.data.map((item) => element("li", {},
        element("button", {type: "button", onclick: () => like(item)}, titleOf(item)))));
      if (!found.data.length) $("found").replaceChildren(element("li", {className: "quiet"}, "No film of that name."));
    } catch (error) {
      say("The service says: " + error.message);
    }
  }, 120);
});
let thinking;
$("mood").addEventListener("input", () => {
  clearTimeout(thinking);
  thinking = setTimeout(refresh, 200);
});
$("genre").addEventListener("change", refresh);
$("reason").addEventListener("change", refresh);
$("forget").addEventListener("click", () => {
  liked = [];
  $("mood").value = "";
  user = "page-" + Math.random().toString(36).slice(2, 12);
  localStorage.setItem("tessera.user", user);
  return keep();
});

// ---- conversation: the OpenAI-compatible endpoint, as any chat client would call it ----

const opening = $("opening");
let talk; // {id, messages, undone, seen}: what this conversation is
let running = null; // AbortController of the answer that is being written

function openTalk() {
  if (running) running.abort();
  talk = {id: "page-" + crypto.getRandomValues(new Uint32Array(3)).join("-"), messages: [], undone: [], seen: []};
  $("turns").replaceChildren(opening);
  showWishes([]);
}

function showWishes(wishes) {
  $("wishes").hidden = !wishes.length;
  $("chips").replaceChildren(...wishes.map((wish) => {
    const chip = element("button", {type: "button", title: "take this wish back", onclick: () => undo(wish)}, (wish.label || wish.text) + " ×");
    chip.dataset.wish = wish.id;
    return element("li", {}, chip);
  }));
}

function undo(wish) {
  if (running) return;
  talk.undone.push(wish.id);
  talk.messages.pop(); // the last answer is given again without it
  let last; // notes may stand below it
  do {
    last = $("turns").lastElementChild;
    last.remove();
  } while (!last.classList.contains("answer"));
  return answer();
}

function talkCard(entry) {
  const seenButton = element("button", {type: "button", className: "small seen"}, "Seen it");
  const more = element("button", {type: "button", className: "small more"}, "More like this");
  const card = element("li", {}, element("div", {className: "title"}, `${entry.rank}. ${titleOf(entry.item)}`),
    element("div", {className: "quiet"}, (entry.item.categories || []).join(" · ") + " ", showTiles(entry.semantic_id)),
    element("div", {className: "buttons"}, seenButton, more));
  card.dataset.item = entry.item_id;
  seenButton.onclick = async () => {
    seenButton.disabled = true;
    try {
      await call("POST", "/v1/events", {user_id: user, item_id: entry.item_id, type: "seen"});
      talk.seen.push(entry.item_id);
      card.firstElementChild.classList.add("gone");
    } catch (error) {
      seenButton.disabled = false;
      note("The service says: " + error.message);
    }
  };
  more.onclick = () => { if (!running) ask("More like " + titleOf(entry.item)); };
  return card;
}

function note(text) {
  $("turns").append(element("p", {className: "quiet"}, text));
  $("turns").scrollTop = $("turns").scrollHeight;
}

// The data frames of a stream, one parsed object each; comments and the end mark are passed over.
async function* frames(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ")) continue;
      const data = part.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

// Sends what was said so far and shows the answer as it comes.
async function answer() {
  const box = element("div", {className: "answer"});
  const cards = element("ol", {className: "cards"});
  const words = element("p", {className: "words writing"});
  box.append(words, cards);
  $("turns").append(box);
  running = new AbortController();
  $("send").disabled = true;
  $("stop").hidden = false;
  const mine = talk; // another may begin while this one is answered
  let said = "";
  let listed = [];
  try {
    const headers = {"Content-Type": "application/json"};
    const key = sessionStorage.getItem("tessera.key");
    if (key) headers.Authorization = "Bearer " + key;
    const reply = await fetch("/v1/chat/completions", {method: "POST", headers, signal: running.signal, body: JSON.stringify({
      model: "chat", stream: true, messages: mine.messages, undo: mine.undone, exclude: mine.seen,
      metadata: {conversation_id: mine.id, user_id: user, n: "5"}})});
    if (!reply.ok) throw new Error((await reply.json()).detail || reply.statusText);
    for await (const frame of frames(reply)) {
      if (frame.error) throw new Error(frame.error.message);
      const delta = frame.choices && frame.choices[0] && frame.choices[0].delta || {};
      if (delta.recommendations) {
        listed = delta.recommendations;
        cards.replaceChildren(...listed.map(talkCard));
      }
      if (delta.understood) showWishes(delta.understood);
      for (const missed of delta.not_understood || [])
        box.insertBefore(element("p", {className: "missed", title: missed.reason}, `Not something to filter by: “${missed.text}”`), cards);
      if (delta.content) words.textContent = said += delta.content;
      $("turns").scrollTop = box.offsetTop - 60; // what was asked stays in sight
    }
  } catch (error) {
    if (talk === mine) note(error.name === "AbortError" ? "Stopped." : "The service says: " + error.message);
  }
  words.classList.remove("writing");
  mine.messages.push({role: "assistant", content: [said, ...listed.map((entry) => titleOf(entry.item))].filter(Boolean).join("\n")});
  running = null;
  $("send").disabled = false;
  $("stop").hidden = true;
}

function ask(text) {
  opening.remove();
  $("turns").append(element("p", {className: "mine"}, text));
  talk.messages.push({role: "user", content: text});
  return answer();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("words").value.trim();
  if (!text || running) return;
  $("words").value = "";
  ask(text);
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("stop").addEventListener("click", () => running && running.abort());
$("anew").addEventListener("click", openTalk);

openTalk();
showLiked();
refresh();
