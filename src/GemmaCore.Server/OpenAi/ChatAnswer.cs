using System.Globalization;
using GemmaCore.Generation;
using GemmaCore.Generation.Tools;
using GemmaCore.Server.OpenAi.Tools;

namespace GemmaCore.Server.OpenAi;

/// <summary>One answer of a chat, as it comes: what the model thought, what it says, and the calls that it asks for, in OpenAI's form.</summary>
internal sealed class ChatAnswer(ToolFields tools)
{
    private readonly ThoughtReader _thoughts = new();
    private readonly ToolAnswerReader _calls = ReaderOf(tools);

    /// <summary>Tokens of the thought so far.</summary>
    public int ThoughtTokens => _thoughts.TokenCount;

    /// <summary>Takes a token's text; returns what of the answer is certain to be thought, and what to be said.</summary>
    public (string Thought, string Text) Push(string text)
    {
        (string thought, string answer) = _thoughts.Push(text);
        return (thought, _calls.Push(answer));
    }

    /// <summary>The end: what was held back, as thought, text or calls.</summary>
    public (string Thought, string Text, IReadOnlyList<ToolCallReport>? Calls) Finish()
    {
        (string thought, string answer) = _thoughts.Finish();
        string text = _calls.Push(answer);
        (string rest, IReadOnlyList<ToolCall> calls) = _calls.Finish();
        return (thought, text + rest, Reports(calls));
    }

    /// <summary>A whole answer; no text where there are calls, or where it was cut off in its thought.</summary>
    public static (string? Thought, string? Text, IReadOnlyList<ToolCallReport>? Calls) Read(GenerationResult result, ToolFields tools)
    {
        (string thought, string answer) = ThoughtReader.Read(result.Text);
        (string text, IReadOnlyList<ToolCall> calls) = ReaderOf(tools).Read(answer);
        bool isCutOff = text.Length == 0 && result.ThoughtTokenCount > 0;
        return (thought.Length > 0 ? thought : null, calls.Count > 0 || isCutOff ? null : text, Reports(calls));
    }

    /// <summary>The same calls, numbered as a stream wants them.</summary>
    public static IReadOnlyList<ToolCallReport> Numbered(IReadOnlyList<ToolCallReport> calls) => [.. calls.Select((call, index) => call with { Index = index })];

    private static ToolAnswerReader ReaderOf(ToolFields tools) => new(tools.Tools, tools.Constraint is not null, tools.Parallel);

    private static ToolCallReport[]? Reports(IReadOnlyList<ToolCall> calls) =>
        calls.Count == 0 ? null : [.. calls.Select(call => new ToolCallReport(null, NewId(), "function", new FunctionReport(call.Name, call.Arguments)))];

    private static string NewId() => "call_" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..24];
}
