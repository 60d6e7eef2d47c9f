using System.Buffers.Binary;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// <c>POST /v1/embeddings</c>: texts or token ids as <c>input</c>, as OpenAI's API has it, or a conversation with pictures as <c>messages</c>, as vLLM has it. Vectors are
/// what <see cref="Embeddings"/> says.
/// </summary>
internal sealed class EmbeddingsApi(ServedModel served, ServingMetrics metrics)
{
    private const int MostInputs = 2048;

    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["model", "input", "messages", "encoding_format", "dimensions", "add_generation_prompt", .. SamplingFields.WithoutEffect]);
        string model = body["model"].TextOrNull() ?? served.Name;
        LoraAdapter? adapter = served.Resolve(model, context);
        bool base64 = IsBase64(body["encoding_format"]);
        int dimensions = body["dimensions"].IntegerOr(served.Model.Model.Layout.HiddenSize, 1, served.Model.Model.Layout.HiddenSize);
        (RequestField field, IReadOnlyList<Func<PromptEncoder, Prompt>> inputs) = await InputsAsync(body, context.RequestAborted).ConfigureAwait(false);
        string tenant = ApiKeyGuard.TenantOf(context);
        var asked = new GenerationRequest[inputs.Count];
        long tokens = 0;
        for (int i = 0; i < asked.Length; i++)
        {
            Prompt prompt = await served.EncodeAsync(inputs[i], context.RequestAborted).ConfigureAwait(false);
            tokens += prompt.Ids.Length;
            if (prompt.Ids.Length >= served.MaxLength || tokens > Math.Max(served.Options.MaxWaitingTokens, served.MaxLength))
                throw RequestException.Invalid($"The input has {tokens} tokens; at most {served.MaxLength - 1} are taken in one and {served.Options.MaxWaitingTokens} in all", field.Path, "context_length_exceeded");
            asked[i] = Request(prompt, field) with { Adapter = adapter, Tenant = tenant };
        }

        using AnswerTelemetry telemetry = AnswerTelemetry.Begin("embeddings", model, isClient: false);
        await AnswerDelivery.RunWholeAsync(context, served, metrics, telemetry, model, asked, results =>
        {
            EmbeddingReport[] reports = [.. results.Select((result, index) => new EmbeddingReport("embedding", index, Value([.. result.Embedding!], dimensions, base64)))];
            return Reply.WriteAsync(context, new EmbeddingList("list", reports, model, new EmbeddingUsage(tokens, tokens)), WireJson.Default.EmbeddingList);
        }).ConfigureAwait(false);
    }

    private async Task<(RequestField Field, IReadOnlyList<Func<PromptEncoder, Prompt>> Inputs)> InputsAsync(RequestField body, CancellationToken client)
    {
        RequestField input = body["input"], messages = body["messages"];
        bool opens = body["add_generation_prompt"].FlagOr(false);
        if (messages.IsNull) return (input, CompletionRequest.ReadPrompts(input.Required(), served, MostInputs));
        if (!input.IsNull) throw RequestException.Invalid("'input' and 'messages' exclude each other", "messages", "invalid_value");
        IReadOnlyList<ChatMessage> conversation = await served.Images.FetchAsync(MessageReader.Read(messages, served), client).ConfigureAwait(false);
        return (messages, [prompts => prompts.Encode(conversation, opens)]);
    }

    private GenerationRequest Request(Prompt prompt, RequestField field)
    {
        try
        {
            return Embeddings.Request(prompt, served.Prompts.Tokenizer);
        }
        catch (InputException error)
        {
            throw RequestException.Invalid($"Invalid value for '{field.Path}': {error.Message}", field.Path, "invalid_value");
        }
    }

    private static bool IsBase64(RequestField format) => format.TextOrNull() switch
    {
        null or "float" => false,
        "base64" => true,
        _ => throw format.Wrong("float or base64"),
    };

    // Base64 is of little-endian floats.
    private static object Value(float[] embedding, int dimensions, bool base64)
    {
        float[] vector = Embeddings.Shorten(embedding, dimensions);
        if (!base64) return vector;
        byte[] bytes = new byte[vector.Length * sizeof(float)];
        for (int i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        return Convert.ToBase64String(bytes);
    }
}
