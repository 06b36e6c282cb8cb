// Draws what services are sent as they show it, within a page: as much of each service's language as the messages use. What a
// service would not show is an error, so that a picture never flatters.

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const unknown = (what) => {
  throw new Error(`nothing draws this: ${JSON.stringify(what)}`);
};

function slackInline(element) {
  if (element.type === "text") return make(element.style?.bold ? "b" : "span", { style: "white-space: pre-wrap" }, element.text);
  if (element.type === "link") return make("a", { href: element.url }, element.text);
  return unknown(element);
}

function slackPart(element) {
  const inner = () => element.elements.map(slackInline);
  if (element.type === "rich_text_section") return make("div", {}, ...inner());
  if (element.type === "rich_text_quote") return make("blockquote", {}, ...inner());
  if (element.type === "rich_text_list") {
    return make("ul", {}, ...element.elements.map((item) => make("li", {}, ...item.elements.map(slackInline))));
  }
  return unknown(element);
}

function slack(message) {
  return message.blocks.map((block) => {
    if (block.type === "header") return make("h1", {}, block.text.text);
    if (block.type === "rich_text") return make("div", {}, ...block.elements.map(slackPart));
    return unknown(block);
  });
}

/** The Markdown that Mattermost and Discord have in common, as far as messages use it: bold, links, quotes, lists. */
function markdown(text) {
  const inline = (line) => {
    const found = [];
    const pattern = /\\([\\`*_[\]()~|>#<])|\*\*((?:\\.|[^*])+)\*\*|\[((?:\\.|[^\]])+)\]\(<?([^)>]+)>?\)/gs;
    let from = 0;
    for (const match of line.matchAll(pattern)) {
      found.push(line.slice(from, match.index));
      if (match[1]) found.push(match[1]);
      else if (match[2]) found.push(make("b", {}, ...inline(match[2])));
      else found.push(make("a", { href: match[4] }, ...inline(match[3])));
      from = match.index + match[0].length;
    }
    found.push(line.slice(from));
    return found;
  };
  return text.split("\n").map((line) => {
    if (line.startsWith("> ")) return make("blockquote", {}, ...inline(line.slice(2)));
    if (line.startsWith("- ")) return make("ul", {}, make("li", {}, ...inline(line.slice(2))));
    return make("div", { style: "min-height: 0.6em" }, ...inline(line));
  });
}

function mattermost(message) {
  return message.attachments.map((one) =>
    make("div", { class: "attachment", style: `--colour: ${one.color}` },
      make("h1", {}, one.title), ...markdown(one.text)));
}

function discord(message) {
  return message.embeds.map((one) =>
    make("div", { class: "attachment", style: `--colour: #${one.color.toString(16).padStart(6, "0")}` },
      make("h1", {}, ...markdown(one.title)), ...markdown(one.description ?? ""),
      make("small", {}, one.timestamp ? "13.02.2026 09:12" : "")));
}

/** A card's text knows a little HTML; anything else is escaped in what is sent. */
const html = (text) => {
  const element = make("div");
  element.innerHTML = text;
  for (const inner of element.querySelectorAll("*")) if (!["B", "I", "BR"].includes(inner.tagName)) unknown(inner.outerHTML);
  return element;
};

function googlechat(message) {
  return message.cardsV2.map(({ card }) => {
    const widgets = card.sections.flatMap((section) => section.widgets).map((widget) => {
      if (widget.decoratedText) {
        return make("div", { class: "widget" }, make("div", { class: "label" }, widget.decoratedText.topLabel), html(widget.decoratedText.text));
      }
      if (widget.textParagraph) return make("div", { class: "widget" }, html(widget.textParagraph.text));
      if (widget.buttonList) {
        return make("div", { class: "buttons" }, ...widget.buttonList.buttons.map((one) => make("a", { href: one.onClick.openLink.url }, one.text)));
      }
      return unknown(widget);
    });
    return make("div", { class: "card" }, ...widgets);
  });
}

/** Microsoft's own renderer, with its configuration for Teams. */
function teams(message, hostConfig) {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig({ ...hostConfig, fontFamily: "Roboto, 'Noto Color Emoji', sans-serif" });
  card.parse(message.attachments[0].content, new AdaptiveCards.SerializationContext(AdaptiveCards.Versions.v1_4));
  return [make("div", { class: "card" }, card.render())];
}

const SERVICES = { slack, teams, mattermost, discord, googlechat };

/** Shows a message of a service, and answers to it in its thread. */
window.show = (service, message, replies, hostConfig) => {
  document.body.className = service;
  const from = make("div", { class: "from" }, "emgate ", make("span", { class: "app" }, "APP"), make("small", {}, "  09:12"));
  const content = make("div", { class: "content" }, from, ...SERVICES[service](message, hostConfig));
  const answers = replies.map((reply) => make("div", { class: "reply" }, ...SERVICES[service](reply, hostConfig)));
  document.body.replaceChildren(make("div", { class: "message" }, make("div", { class: "avatar" }, "e"), content), ...answers);
};
