using System.Text.Json;
using GemmaCore.Inputs;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary><c>POST /tokenize</c> and <c>/detokenize</c>, as vLLM has them.</summary>
internal sealed class TokenizeApi(ServedModel served)
{
    public async Task TokenizeAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["model", "prompt", "messages", "add_special_tokens", "add_generation_prompt"]);
        served.RequireModel(body["model"].TextOrNull());
        int[] ids = (await served.EncodeAsync(Encoder(body), context.RequestAborted).ConfigureAwait(false)).Ids;
        await Reply.WriteAsync(context, new Tokenized(ids.Length, served.MaxLength, ids), WireJson.Default.Tokenized).ConfigureAwait(false);
    }

    public async Task DetokenizeAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["model", "tokens"]);
        served.RequireModel(body["model"].TextOrNull());
        Tokenizer tokenizer = served.Prompts.Tokenizer;
        int[] ids = [.. body["tokens"].Required().Items(served.MaxLength).Select(id => id.Integer(0, tokenizer.VocabularySize - 1))];
        await Reply.WriteAsync(context, new Detokenized(tokenizer.Decode(ids, skipSpecialTokens: false)), WireJson.Default.Detokenized).ConfigureAwait(false);
    }

    private Func<PromptEncoder, Prompt> Encoder(RequestField body)
    {
        if (!body["messages"].IsNull)
        {
            IReadOnlyList<ChatMessage> messages = MessageReader.Read(body["messages"], served.Options);
            bool opens = body["add_generation_prompt"].FlagOr(true);
            return prompts => prompts.Encode(messages, opens);
        }

        string text = body["prompt"].Required().Text();
        bool special = body["add_special_tokens"].FlagOr(true);
        return prompts => special ? prompts.EncodeText(text, []) : new Prompt(prompts.Tokenizer.Encode(text, addBos: false), [], []);
    }
}
