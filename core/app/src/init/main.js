// What the page is served with: the ids of methods by the names of their exports, and a token to call them with.
const { methods, token } = window.__MINDSTUDIO__;

async function call(name, input = {}) {
  const answer = await fetch(`/_/methods/${methods[name]}/invoke`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ input }),
  });
  const { output, error } = await answer.json();
  if (!answer.ok) throw new Error(error);
  return output;
}

async function show() {
  const items = (await call('listNotes')).map(({ text }) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  });
  document.querySelector('ul').replaceChildren(...items);
}

document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  await call('addNote', { text: new FormData(form).get('text') });
  form.reset();
  await show();
});

await show();
