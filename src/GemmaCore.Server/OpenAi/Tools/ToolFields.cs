using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Generation.Constraints;
using GemmaCore.Generation.Tools;

namespace GemmaCore.Server.OpenAi.Tools;

/// <summary>The tools of a request: <c>tools</c>, <c>tool_choice</c>, <c>parallel_tool_calls</c>.</summary>
/// <param name="Tools">What the model is told of and may call; none when <c>tool_choice</c> is <c>none</c>.</param>
/// <param name="Constraint">Set when the answer has to be a call.</param>
/// <param name="Parallel">Whether an answer may hold several calls.</param>
internal sealed record ToolFields(IReadOnlyList<Tool> Tools, Constraint? Constraint, bool Parallel)
{
    private const int MostTools = 128, LongestDescription = 16 << 10;

    /// <summary>Field names that <see cref="Read"/> looks at.</summary>
    public static readonly string[] Names = ["tools", "tool_choice", "parallel_tool_calls"];

    /// <exception cref="RequestException">They make no sense.</exception>
    public static ToolFields Read(RequestField body, ConstraintCompiler compiler)
    {
        RequestField field = body["tools"], choice = body["tool_choice"];
        bool parallel = body["parallel_tool_calls"].FlagOr(true);
        Tool[] tools = field.IsNull ? [] : [.. field.Items(MostTools).Select(ReadTool)];
        if (tools.Select(tool => tool.Name).Distinct(StringComparer.Ordinal).Count() != tools.Length) throw field.Wrong("tools of different names");
        Tool[] callable = Chosen(choice, tools, out bool isForced);
        if (!isForced) return new ToolFields(callable, null, parallel);
        Constraint constraint = StructuredFields.Compile(field, () => compiler.ToolCalls(callable, parallel && choice.Kind == JsonValueKind.String ? ConstraintCompiler.MostParallelCalls : 1)); // of a named one a single call
        return new ToolFields(tools, constraint, parallel);
    }

    /// <summary>
    /// What an answer may be where a request says that beside its tools: a call instead, unless it has to be one, or there are none. Arguments then keep to their schemas.
    /// </summary>
    /// <exception cref="RequestException">A tool's schema cannot be obeyed.</exception>
    public Constraint? Beside(Constraint? answer, RequestField body, ConstraintCompiler compiler)
    {
        if (Constraint is not null) return Constraint;
        return answer is null || Tools.Count == 0 ? answer : StructuredFields.Compile(body["tools"], () => compiler.OrToolCalls(answer, Tools, Parallel ? ConstraintCompiler.MostParallelCalls : 1));
    }

    // Those that may be called; all of them unless one is named.
    private static Tool[] Chosen(RequestField choice, Tool[] tools, out bool isForced)
    {
        isForced = false;
        if (choice.IsNull) return tools;
        if (choice.Kind == JsonValueKind.String)
        {
            string mode = choice.Text();
            if (mode == "none") return [];
            if (mode == "auto") return tools;
            if (mode != "required") throw choice.Wrong("none, auto, required or a function");
            isForced = true;
            return tools.Length > 0 ? tools : throw choice.Wrong("none or auto where there are no tools");
        }

        choice.AllowOnly(["type", "function"]);
        if (choice["type"].Required().Text() != "function") throw choice["type"].Wrong("function");
        RequestField named = choice["function"].Required();
        named.AllowOnly(["name"]);
        string name = named["name"].Required().Text();
        isForced = true;
        return Array.Find(tools, tool => tool.Name == name) is { } found ? [found] : throw named["name"].Wrong("the name of one of the tools");
    }

    private static Tool ReadTool(RequestField tool)
    {
        tool.AllowOnly(["type", "function"]);
        if (tool["type"].Required().Text() != "function") throw tool["type"].Wrong("function");
        RequestField function = tool["function"].Required(), parameters = function["parameters"];
        function.AllowOnly(["name", "description", "parameters", "strict"]);
        function["strict"].FlagOr(false); // arguments keep to the schema where a call is required, and are the model's own where it is not
        StructuredFields.CheckName(function["name"].Required());
        string? description = function["description"].TextOrNull();
        if (description?.Length > LongestDescription) throw function["description"].Wrong($"at most {LongestDescription} characters");
        return new Tool(function["name"].Text(), description, parameters.IsNull ? null : ReadParameters(parameters));
    }

    // Arguments are an object, also where the schema forgets to say so.
    private static string ReadParameters(RequestField parameters)
    {
        if (parameters.Kind != JsonValueKind.Object) throw parameters.Wrong("an object");
        if (parameters.Json().Length > 64 << 10) throw parameters.Wrong("at most 64 KiB");
        RequestField type = parameters["type"];
        if (!type.IsNull && !(type.Kind == JsonValueKind.String && type.Text() == "object")) throw type.Wrong("object");
        if (!type.IsNull || !parameters["$ref"].IsNull || !parameters["anyOf"].IsNull) return parameters.Json();
        JsonObject schema = JsonNode.Parse(parameters.Json())!.AsObject();
        schema["type"] = "object";
        return schema.ToJsonString();
    }
}
