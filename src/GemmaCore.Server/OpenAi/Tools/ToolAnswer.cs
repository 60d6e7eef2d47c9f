using System.Globalization;
using GemmaCore.Generation.Tools;

namespace GemmaCore.Server.OpenAi.Tools;

/// <summary>One answer of a request with tools, as it comes, with its calls in OpenAI's form.</summary>
internal sealed class ToolAnswer(ToolFields tools)
{
    private readonly ToolAnswerReader _reader = ReaderOf(tools);

    /// <summary>What of the answer is certain to be text.</summary>
    public string Push(string text) => _reader.Push(text);

    /// <summary>The end: the calls that were held back, or the text that turned out to be none.</summary>
    public (string Text, IReadOnlyList<ToolCallReport>? Calls) Finish()
    {
        (string text, IReadOnlyList<ToolCall> calls) = _reader.Finish();
        return (text, Reports(calls));
    }

    /// <summary>A whole answer as text or as calls.</summary>
    public static (string? Text, IReadOnlyList<ToolCallReport>? Calls) Read(string answer, ToolFields tools)
    {
        (string text, IReadOnlyList<ToolCall> calls) = ReaderOf(tools).Read(answer);
        return calls.Count > 0 ? (null, Reports(calls)) : (text, null);
    }

    /// <summary>The same calls, numbered as a stream wants them.</summary>
    public static IReadOnlyList<ToolCallReport> Numbered(IReadOnlyList<ToolCallReport> calls) => [.. calls.Select((call, index) => call with { Index = index })];

    private static ToolAnswerReader ReaderOf(ToolFields tools) => new(tools.Tools, tools.Constraint is not null, tools.Parallel);

    private static ToolCallReport[]? Reports(IReadOnlyList<ToolCall> calls) =>
        calls.Count == 0 ? null : [.. calls.Select(call => new ToolCallReport(null, NewId(), "function", new FunctionReport(call.Name, call.Arguments)))];

    private static string NewId() => "call_" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..24];
}
