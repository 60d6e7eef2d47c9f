using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>The body of a chat request, checked.</summary>
/// <param name="Model">As given, or the base model's name.</param>
/// <param name="Messages">The conversation.</param>
/// <param name="Sampling">How to answer.</param>
/// <param name="Logprobs">Whether log-probabilities are to be reported.</param>
internal sealed record ChatRequest(string Model, IReadOnlyList<ChatMessage> Messages, SamplingFields Sampling, bool Logprobs)
{
    private static readonly string[] Names =
    [
        "model", "messages", "max_completion_tokens", "logprobs", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "modalities",
        .. SamplingFields.Names, .. SamplingFields.WithoutEffect,
    ];

    /// <exception cref="RequestException">The body makes no sense, or asks for what is not supported.</exception>
    public static ChatRequest Read(RequestField body, ServedModel served)
    {
        body.AllowOnly(Names);
        RefuseUnsupported(body);
        int longest = served.MaxLength;
        int? maxTokens = (body["max_completion_tokens"] is { IsNull: false } newer ? newer : body["max_tokens"]) is { IsNull: false } field ? field.Integer(1, longest) : null;
        bool logprobs = body["logprobs"].FlagOr(false);
        RequestField top = body["top_logprobs"];
        if (!logprobs && !top.IsNull) throw RequestException.Invalid("'top_logprobs' needs 'logprobs' to be true", top.Path, "invalid_value");
        return new ChatRequest(
            body["model"].TextOrNull() ?? served.Name,
            MessageReader.Read(body["messages"], served.Options),
            SamplingFields.Read(body, served, maxTokens, logprobs ? top.IntegerOr(0, 0, 20) : -1),
            logprobs);
    }

    private static void RefuseUnsupported(RequestField body)
    {
        RequestField tools = body["tools"], choice = body["tool_choice"], modalities = body["modalities"];
        if (!tools.IsNull && tools.Items(1024).Count > 0) throw Unsupported(tools, "no tools");
        if (!choice.IsNull && !(choice.Kind == JsonValueKind.String && choice.Text() is "none" or "auto")) throw Unsupported(choice, "only none and auto");
        if (!modalities.IsNull && modalities.Items(8).Any(item => item.Text() != "text")) throw Unsupported(modalities, "only [\"text\"]");
    }

    private static RequestException Unsupported(RequestField field, string taken) =>
        RequestException.Invalid($"Unsupported value for '{field.Path}': this server takes {taken} there", field.Path, "unsupported_value");
}
