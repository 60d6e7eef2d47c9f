using System.Text;

namespace GemmaCore.Generation.Tools;

/// <summary>One answer that may turn out to be calls, as it comes: text that may still become a call is held back until it cannot, or until the answer is whole.</summary>
/// <param name="tools">What may be called; without any, all is text.</param>
/// <param name="isForced">Whether the answer has to be a call.</param>
/// <param name="parallel">Whether it may be several; otherwise the first one counts.</param>
public sealed class ToolAnswerReader(IReadOnlyList<Tool> tools, bool isForced, bool parallel)
{
    // By then it is either text or begins like a call.
    private const int Decided = 256;

    private readonly StringBuilder _held = new();
    private bool _isText = tools.Count == 0;

    /// <summary>What of the answer is certain to be text.</summary>
    public string Push(string text)
    {
        if (_isText) return text;
        _held.Append(text);
        if (isForced || _held.Length > Decided || ToolCallReader.MayBecomeCall(_held.ToString())) return "";
        _isText = true;
        return _held.ToString();
    }

    /// <summary>The end: the calls that were held back, or the text that turned out to be none.</summary>
    public (string Text, IReadOnlyList<ToolCall> Calls) Finish() => _isText ? ("", []) : Read(_held.ToString());

    /// <summary>A whole answer as text or as calls.</summary>
    public (string Text, IReadOnlyList<ToolCall> Calls) Read(string answer)
    {
        if (tools.Count == 0 || !ToolCallReader.TryRead(answer, tools, out IReadOnlyList<ToolCall> calls)) return (answer, []);
        return ("", parallel ? calls : [calls[0]]);
    }
}
