using System.Globalization;
using System.Text;
using GemmaCore.Generation.Tools;

namespace GemmaCore.Server.OpenAi.Tools;

/// <summary>One answer of a request with tools, as it comes: text that may still become a call is held back until it cannot, or until the answer is whole.</summary>
internal sealed class ToolAnswer(ToolFields tools)
{
    // By then it is either text or begins like a call.
    private const int Decided = 256;

    private readonly StringBuilder _held = new();
    private bool _isText = tools.Tools.Count == 0;

    /// <summary>What of the answer is certain to be text.</summary>
    public string Push(string text)
    {
        if (_isText) return text;
        _held.Append(text);
        if (tools.Constraint is not null || _held.Length > Decided || ToolCallReader.MayBecomeCall(_held.ToString())) return "";
        _isText = true;
        return _held.ToString();
    }

    /// <summary>The end: the calls that were held back, or the text that turned out to be none.</summary>
    public (string Text, IReadOnlyList<ToolCallReport>? Calls) Finish()
    {
        if (_isText) return ("", null);
        (string? text, IReadOnlyList<ToolCallReport>? calls) = Read(_held.ToString(), tools);
        return (text ?? "", calls);
    }

    /// <summary>A whole answer as text or as calls.</summary>
    public static (string? Text, IReadOnlyList<ToolCallReport>? Calls) Read(string answer, ToolFields tools)
    {
        if (tools.Tools.Count == 0 || !ToolCallReader.TryRead(answer, tools.Tools, out IReadOnlyList<ToolCall> calls)) return (answer, null);
        // Whoever asked for one call at a time gets the first.
        IEnumerable<ToolCall> wanted = tools.Parallel ? calls : calls.Take(1);
        return (null, [.. wanted.Select((call, index) => new ToolCallReport(null, NewId(), "function", new FunctionReport(call.Name, call.Arguments)))]);
    }

    /// <summary>The same calls, numbered as a stream wants them.</summary>
    public static IReadOnlyList<ToolCallReport> Numbered(IReadOnlyList<ToolCallReport> calls) => [.. calls.Select((call, index) => call with { Index = index })];

    private static string NewId() => "call_" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..24];
}
