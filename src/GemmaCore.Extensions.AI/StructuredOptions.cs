using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI;

/// <summary>The options that bind an answer's form: schemas and tools. There is one place for them, because they come together.</summary>
internal static class StructuredOptions
{
    /// <exception cref="NotSupportedException">The answer is to have a form.</exception>
    public static void Check(ChatOptions options)
    {
        if (options.ResponseFormat is not (null or ChatResponseFormatText)) throw OptionsReader.Unsupported(nameof(options.ResponseFormat), "ask for text, and describe the form in the question");
        if (options.Tools is { Count: > 0 }) throw OptionsReader.Unsupported(nameof(options.Tools), "leave tools out");
        if (options.ToolMode is RequiredChatToolMode) throw OptionsReader.Unsupported(nameof(options.ToolMode), "leave tools out");
    }
}
