using System.Text.Json;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi.Tools;

/// <summary>Calls and their results in the history of a conversation, by the ids that tie them together.</summary>
internal sealed class ToolMessages
{
    private const int MostCalls = 64;

    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

    /// <summary>True once there was a result: turns of the user may then follow each other.</summary>
    public bool HasResults { get; private set; }

    /// <summary>A turn of the assistant with <c>tool_calls</c>.</summary>
    public ChatMessage Calls(string? text, RequestField field)
    {
        var calls = new List<ToolCall>();
        foreach (RequestField call in field.Items(MostCalls))
        {
            call.AllowOnly(["id", "type", "function", "index"]);
            if (call["type"].TextOrNull() is not (null or "function")) throw call["type"].Wrong("function");
            RequestField function = call["function"].Required();
            function.AllowOnly(["name", "arguments"]);
            string name = function["name"].Required().Text();
            calls.Add(new ToolCall(name, Arguments(function["arguments"])));
            if (call["id"].TextOrNull() is { } id) _names[id] = name;
        }

        return calls.Count > 0 ? ToolPrompt.Calls(text, calls) : throw field.Wrong("at least one call");
    }

    /// <summary>A message of role <c>tool</c>.</summary>
    public ChatMessage Result(RequestField message, string text)
    {
        RequestField id = message["tool_call_id"].Required();
        if (!_names.TryGetValue(id.Text(), out string? name)) throw id.Wrong("the id of a call in an earlier message of the assistant");
        HasResults = true;
        return ChatMessage.FromText(ChatRole.User, ToolPrompt.Result(name, text));
    }

    // OpenAI's API has arguments as text that holds JSON.
    private static string Arguments(RequestField field)
    {
        string text = field.IsNull ? "{}" : field.Text();
        if (string.IsNullOrWhiteSpace(text)) return "{}";
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.GetRawText() : throw field.Wrong("a JSON object as text");
        }
        catch (JsonException)
        {
            throw field.Wrong("a JSON object as text");
        }
    }
}
