// The server's API. All addresses are relative: the page may be served under a prefix.
function headers(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// What went wrong, in the server's own words where it has any.
async function complaint(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // Not one of ours: a proxy, perhaps.
  }
  return Object.assign(new Error(error.message ?? `The server answered with ${response.status} ${response.statusText}`), { status: response.status });
}

export async function listModels(key) {
  const response = await fetch('v1/models', { headers: headers(key) });
  if (!response.ok) throw await complaint(response);
  return (await response.json()).data;
}

// A picture that browsers cannot show, as the model is shown it, and what can be chosen of its file.
export async function preview(url, { frame, window }, key) {
  const response = await fetch('preview', { method: 'POST', headers: { ...headers(key), 'Content-Type': 'application/json' }, body: JSON.stringify({ url, frame, window, choices: true }) });
  if (!response.ok) throw await complaint(response);
  return await response.json();
}

// Events of a streamed answer: { thought }, { text }, { reason }, { tokens }.
export async function* ask(body, key, signal) {
  const response = await fetch('v1/chat/completions', {
    method: 'POST', signal, headers: { ...headers(key), 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  if (!response.ok) throw await complaint(response);
  let rest = '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('The connection ended before the answer did');
    const events = (rest + decoder.decode(value, { stream: true })).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith('data: ')) continue; // a comment that keeps the connection
      if (event === 'data: [DONE]') return;
      const chunk = JSON.parse(event.slice(6));
      if (chunk.error) throw new Error(chunk.error.message);
      const choice = chunk.choices[0];
      if (choice?.delta.reasoning_content) yield { thought: choice.delta.reasoning_content };
      if (choice?.delta.content) yield { text: choice.delta.content };
      if (choice?.finish_reason) yield { reason: choice.finish_reason };
      if (chunk.usage) yield { tokens: chunk.usage.completion_tokens };
    }
  }
}
