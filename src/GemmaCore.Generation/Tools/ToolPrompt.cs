using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Tools;

/// <summary>
/// Tools in a conversation, for a model without tokens of its own for them: declarations and the form of a call as Google's function-calling page for Gemma 3 has them
/// (ai.google.dev/gemma/docs/capabilities/function-calling, JSON style). Calls become text of the model's turn, results text of the user's.
/// </summary>
public static class ToolPrompt
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What the model is told about the tools.</summary>
    public static string Instructions(IReadOnlyList<Tool> tools)
    {
        ArgumentNullException.ThrowIfNull(tools);
        return "You have access to functions. If you decide to invoke any of the function(s),\nyou MUST put it in the format of\n"
            + "{\"name\": function name, \"parameters\": dictionary of argument name and its value}\n\n"
            + "You SHOULD NOT include any other text in the response if you call a function\n[\n" + string.Join(",\n", tools.Select(tool => "  " + Declaration(tool))) + "\n]";
    }

    /// <summary>The conversation with the tools in its system message, which Gemma's template puts before the first turn of the user.</summary>
    public static IReadOnlyList<ChatMessage> AddTo(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools)
    {
        ArgumentNullException.ThrowIfNull(messages);
        string instructions = Instructions(tools);
        if (messages is not [{ Role: ChatRole.System } system, ..]) return [ChatMessage.FromText(ChatRole.System, instructions), .. messages];
        string text = string.Concat(system.Content.OfType<TextPart>().Select(part => part.Text));
        return [ChatMessage.FromText(ChatRole.System, $"{text}\n\n{instructions}"), .. messages.Skip(1)];
    }

    /// <summary>A turn of the model that asked for calls.</summary>
    /// <param name="text">What it said besides; usually nothing.</param>
    /// <param name="calls">The calls, at least one.</param>
    public static ChatMessage Calls(string? text, IReadOnlyList<ToolCall> calls)
    {
        ArgumentNullException.ThrowIfNull(calls);
        string written = calls.Count == 1 ? Written(calls[0]) : $"[{string.Join(", ", calls.Select(Written))}]";
        return ChatMessage.FromText(ChatRole.Assistant, string.IsNullOrWhiteSpace(text) ? written : $"{text}\n{written}");
    }

    /// <summary>The result of a call as text: <c>{"name": …, "response": …}</c>.</summary>
    public static string Result(string name, string content) => Json(writer =>
    {
        writer.WriteString("name", name);
        writer.WritePropertyName("response");
        if (IsJsonContainer(content)) writer.WriteRawValue(content);
        else writer.WriteStringValue(content);
    });

    /// <summary>Joins neighbouring turns of the user, results among them, into one: roles have to alternate.</summary>
    public static IReadOnlyList<ChatMessage> JoinUserTurns(IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var joined = new List<ChatMessage>();
        foreach (ChatMessage message in messages)
        {
            if (message.Role != ChatRole.User || joined is not [.., { Role: ChatRole.User } last])
            {
                joined.Add(message);
                continue;
            }

            // The template trims every text, so that a line break between two has to be inside one.
            List<ContentPart> parts = [.. last.Content];
            List<ContentPart> more = [.. message.Content];
            if (parts is [.., TextPart before] && more is [TextPart after, ..])
            {
                parts[^1] = new TextPart($"{before.Text}\n{after.Text}");
                more.RemoveAt(0);
            }

            joined[^1] = new ChatMessage(ChatRole.User, [.. parts, .. more]);
        }

        return joined;
    }

    private static string Written(ToolCall call) => $"{{\"name\": {JsonString(call.Name)}, \"parameters\": {call.Arguments}}}";

    private static string JsonString(string text) => "\"" + JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text) + "\"";

    private static string Declaration(Tool tool) => Json(writer =>
    {
        writer.WriteString("name", tool.Name);
        if (tool.Description is not null) writer.WriteString("description", tool.Description);
        writer.WritePropertyName("parameters");
        writer.WriteRawValue(tool.Parameters ?? """{"type": "object", "properties": {}}""");
    });

    private static string Json(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static bool IsJsonContainer(string content)
    {
        if (!content.AsSpan().TrimStart().StartsWith("{", StringComparison.Ordinal) && !content.AsSpan().TrimStart().StartsWith("[", StringComparison.Ordinal)) return false;
        try
        {
            using JsonDocument document = JsonDocument.Parse(content);
            return true;
        }
        catch (JsonException)
        {
            return false; // text that only looks like it
        }
    }
}
