using System.Text.Json.Serialization;

namespace GemmaCore.Server.OpenAi;

// The replies of OpenAI's API, field by field. Snake case comes from WireJson; null fields are left out unless the API always has them.
internal sealed record ErrorBody(ErrorDetail Error);

internal sealed record ErrorDetail(
    string Message, string Type, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);

internal sealed record Usage(
    int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails? PromptTokensDetails = null, CompletionTokensDetails? CompletionTokensDetails = null)
{
    /// <param name="asked">Tokens of all prompts.</param>
    /// <param name="answered">Tokens of all answers.</param>
    /// <param name="cached">Tokens of each answer's prompt that were there from earlier ones.</param>
    /// <param name="choices">Answers to a prompt, which counts once for all of them: as if the luckiest of them had not been.</param>
    public static Usage Of(int asked, int answered, IReadOnlyList<int> cached, int choices) =>
        new(asked, answered, asked + answered, new PromptTokensDetails(cached.Chunk(choices).Sum(ofPrompt => ofPrompt.Min())));

    /// <summary>Of one answer that is still coming: what its prompt and it so far have.</summary>
    public static Usage SoFar(int asked, int answered) => new(asked, answered, asked + answered);
}

internal sealed record PromptTokensDetails(int CachedTokens);

internal sealed record CompletionTokensDetails(int ReasoningTokens)
{
    /// <summary>Null where nothing was thought.</summary>
    public static CompletionTokensDetails? Of(int reasoningTokens) => reasoningTokens > 0 ? new CompletionTokensDetails(reasoningTokens) : null;
}

internal sealed record ChatCompletion(string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage Usage);

internal sealed record ChatChoice(
    int Index, AssistantMessage Message, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs, string FinishReason);

internal sealed record AssistantMessage(
    string Role, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Content, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Refusal,
    IReadOnlyList<ToolCallReport>? ToolCalls, string? ReasoningContent = null);

internal sealed record ToolCallReport(int? Index, string Id, string Type, FunctionReport Function);

internal sealed record FunctionReport(string Name, string Arguments);

internal sealed record ChatChunk(string Id, string Object, long Created, string Model, IReadOnlyList<ChunkChoice> Choices, Usage? Usage);

internal sealed record ChunkChoice(
    int Index, ChunkDelta Delta, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

internal sealed record ChunkDelta(string? Role, string? Content, IReadOnlyList<ToolCallReport>? ToolCalls = null, string? ReasoningContent = null);

internal sealed record ChatLogprobs(IReadOnlyList<TokenReport> Content);

internal sealed record TokenReport(string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<TopReport> TopLogprobs);

internal sealed record TopReport(string Token, float Logprob, IReadOnlyList<int> Bytes);

internal sealed record TextCompletion(string Id, string Object, long Created, string Model, IReadOnlyList<TextChoice> Choices, Usage? Usage);

internal sealed record TextChoice(
    int Index, string Text, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] TextLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

internal sealed record TextLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<float> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>> TopLogprobs, IReadOnlyList<int> TextOffset);

internal sealed record Classification(string Id, string Object, long Created, string Model, IReadOnlyList<ClassChoice> Data, Usage Usage);

internal sealed record ClassChoice(int Index, string Label, IReadOnlyList<double> Probs, int NumClasses, IReadOnlyList<LabelReport> Labels);

internal sealed record LabelReport(string Label, double Logprob, double Prob);

internal sealed record ModelList(string Object, IReadOnlyList<ModelCard> Data);

internal sealed record ModelCard(
    string Id, string Object, long Created, string OwnedBy, string Root, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Parent, int MaxModelLen,
    IReadOnlyList<string> Permission);

internal sealed record Tokenized(int Count, int MaxModelLen, IReadOnlyList<int> Tokens);

internal sealed record Detokenized(string Prompt);

internal sealed record EmbeddingList(string Object, IReadOnlyList<EmbeddingReport> Data, string Model, EmbeddingUsage Usage);

// Numbers, or base64 of them.
internal sealed record EmbeddingReport(string Object, int Index, object Embedding);

internal sealed record EmbeddingUsage(long PromptTokens, long TotalTokens);

// What a preview's file lets one choose. The window is null for bytes as they are, the range where there is none or more than one.
internal sealed record PictureReport(
    string Picture, int Frames, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Window, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] RangeReport? Range,
    string? Unit, IReadOnlyList<WindowReport> Windows);

internal sealed record RangeReport(double Centre, double Width);

internal sealed record WindowReport([property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Window, string Label);

internal sealed record Health(string Status);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(TextCompletion))]
[JsonSerializable(typeof(Classification))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelCard))]
[JsonSerializable(typeof(Tokenized))]
[JsonSerializable(typeof(Detokenized))]
[JsonSerializable(typeof(EmbeddingList))]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(PictureReport))]
[JsonSerializable(typeof(Health))]
internal sealed partial class WireJson : JsonSerializerContext;
