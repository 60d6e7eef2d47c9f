using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using GemmaCore.Server.OpenAi.Tools;

namespace GemmaCore.Server.OpenAi;

/// <summary>The body of a chat request, checked.</summary>
/// <param name="Model">As given, or the base model's name.</param>
/// <param name="Messages">The conversation; pictures may still be to be fetched.</param>
/// <param name="Sampling">How to answer.</param>
/// <param name="Logprobs">Whether log-probabilities are to be reported.</param>
/// <param name="Tools">What the model may call.</param>
internal sealed record ChatRequest(string Model, IReadOnlyList<ChatMessage> Messages, SamplingFields Sampling, bool Logprobs, ToolFields Tools)
{
    private static readonly string[] Names =
    [
        "model", "messages", "max_completion_tokens", "logprobs", "top_logprobs", "modalities", .. ToolFields.Names,
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
        if (!logprobs && top.IntegerOr(0, 0, 20) > 0) throw RequestException.Invalid("'top_logprobs' needs 'logprobs' to be true", top.Path, "invalid_value");
        SamplingFields sampling = SamplingFields.Read(body, served, maxTokens, logprobs ? top.IntegerOr(0, 0, 20) : -1);
        ToolFields tools = ToolFields.Read(body, served.Model.Constraints);
        sampling = sampling with { Parameters = sampling.Parameters with { Constraint = tools.Beside(sampling.Parameters.Constraint, body, served.Model.Constraints) } };
        IReadOnlyList<ChatMessage> messages = MessageReader.Read(body["messages"], served);
        return new ChatRequest(body["model"].TextOrNull() ?? served.Name, tools.Tools.Count > 0 ? ToolPrompt.AddTo(messages, tools.Tools) : messages, sampling, logprobs, tools);
    }

    private static void RefuseUnsupported(RequestField body)
    {
        RequestField modalities = body["modalities"];
        if (!modalities.IsNull && modalities.Items(8).Any(item => item.Text() != "text")) throw Unsupported(modalities, "only [\"text\"]");
    }

    private static RequestException Unsupported(RequestField field, string taken) =>
        RequestException.Invalid($"Unsupported value for '{field.Path}': this server takes {taken} there", field.Path, "unsupported_value");
}
