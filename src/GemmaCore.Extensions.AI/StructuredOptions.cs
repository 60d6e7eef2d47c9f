using GemmaCore.Generation.Constraints;
using GemmaCore.Generation.Tools;
using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI;

/// <summary>The options that bind an answer's form: <see cref="ChatOptions.ResponseFormat"/>, <see cref="ChatOptions.Tools"/> and <see cref="ChatOptions.ToolMode"/>.</summary>
/// <param name="Tools">What the model is told of and may call.</param>
/// <param name="Constraint">What the answer may be; null for anything.</param>
/// <param name="MustCall">Whether it has to be a call.</param>
/// <param name="Parallel">Whether it may be several calls.</param>
internal sealed record StructuredOptions(IReadOnlyList<Tool> Tools, Constraint? Constraint, bool MustCall, bool Parallel)
{
    /// <summary>Any text.</summary>
    public static StructuredOptions None { get; } = new([], null, false, true);

    /// <exception cref="NotSupportedException">A kind of tool or format that the model does not have.</exception>
    /// <exception cref="ArgumentException">The mode names a tool that there is not.</exception>
    /// <exception cref="Inputs.InputException">A schema cannot be obeyed; the message says where.</exception>
    public static StructuredOptions Read(ChatOptions options, ConstraintCompiler compiler)
    {
        Constraint? format = Format(options.ResponseFormat, compiler);
        Tool[] tools = options.ToolMode is NoneChatToolMode ? [] : [.. (options.Tools ?? []).Select(ToolOf)];
        bool parallel = options.AllowMultipleToolCalls ?? true;
        if (options.ToolMode is RequiredChatToolMode required)
        {
            Tool[] callable = required.RequiredFunctionName is { } name ? [.. tools.Where(tool => tool.Name == name)] : tools;
            if (callable.Length == 0) throw new ArgumentException($"{nameof(ChatOptions)}.{nameof(options.ToolMode)} requires a call of {required.RequiredFunctionName ?? "a tool"}, which is not in Tools", nameof(options));
            bool several = parallel && required.RequiredFunctionName is null;
            return new StructuredOptions(tools, compiler.ToolCalls(callable, several ? ConstraintCompiler.MostParallelCalls : 1), MustCall: true, parallel);
        }

        // A call instead of the answer, and the answer in its form once there are results.
        if (tools.Length > 0 && format is not null) format = compiler.OrToolCalls(format, tools, parallel ? ConstraintCompiler.MostParallelCalls : 1);
        return new StructuredOptions(tools, format, MustCall: false, parallel);
    }

    private static Constraint? Format(ChatResponseFormat? format, ConstraintCompiler compiler) => format switch
    {
        null or ChatResponseFormatText => null,
        ChatResponseFormatJson { Schema: { } schema } => compiler.JsonSchema(schema.GetRawText()),
        ChatResponseFormatJson => compiler.JsonObject(),
        _ => throw OptionsReader.Unsupported($"{nameof(ChatOptions.ResponseFormat)} {format.GetType().Name}", "ask for text or JSON"),
    };

    private static Tool ToolOf(AITool tool) => tool is AIFunctionDeclaration function
        ? new Tool(function.Name, string.IsNullOrEmpty(function.Description) ? null : function.Description, function.JsonSchema.GetRawText())
        : throw OptionsReader.Unsupported($"{nameof(ChatOptions.Tools)}: {tool.GetType().Name}", "declare functions");
}
