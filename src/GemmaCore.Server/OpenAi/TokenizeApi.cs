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
        int[] ids = (await served.EncodeAsync(await EncoderAsync(body, context.RequestAborted).ConfigureAwait(false), context.RequestAborted).ConfigureAwait(false)).Ids;
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

    private async Task<Func<PromptEncoder, Prompt>> EncoderAsync(RequestField body, CancellationToken client)
    {
        if (!body["messages"].IsNull)
        {
            bool opens = body["add_generation_prompt"].FlagOr(true);
            IReadOnlyList<ChatMessage> messages = await served.Images.FetchAsync(MessageReader.Read(body["messages"], served), client).ConfigureAwait(false);
            return prompts => prompts.Encode(messages, opens);
        }

        string text = body["prompt"].Required().Text();
        bool special = body["add_special_tokens"].FlagOr(true);
        return prompts => special ? prompts.EncodeText(text, []) : new Prompt(prompts.Tokenizer.Encode(text, addBos: false), [], []);
    }
}
