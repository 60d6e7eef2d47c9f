using System.Text.Json;

namespace GemmaCore.Generation.Tools;

/// <summary>Finds calls in what a model said: an answer that is nothing but calls, in the form that <see cref="ToolPrompt"/> asks for, with or without a code fence around it.</summary>
public static class ToolCallReader
{
    private const int MostCalls = 64;

    private static readonly string[] FenceNames = ["", "json", "tool_code", "tool_call"];

    /// <summary>Reads an answer as calls of some tools.</summary>
    /// <returns>False when it is something else; a call of a tool that does not exist is something else too.</returns>
    public static bool TryRead(string answer, IReadOnlyList<Tool> tools, out IReadOnlyList<ToolCall> calls)
    {
        ArgumentNullException.ThrowIfNull(answer);
        ArgumentNullException.ThrowIfNull(tools);
        calls = [];
        string text = WithoutFence(answer.Trim());
        if (text.Length == 0 || text[0] is not ('{' or '[')) return false;
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            JsonElement root = document.RootElement;
            JsonElement[] found = root.ValueKind == JsonValueKind.Array ? [.. root.EnumerateArray().Take(MostCalls + 1)] : [root];
            var read = new List<ToolCall>();
            foreach (JsonElement call in found)
            {
                if (Read(call, tools) is not { } known) return false;
                read.Add(known);
            }

            calls = read;
            return read.Count is > 0 and <= MostCalls;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return false; // no JSON, or no Unicode in it: an answer like any other
        }
    }

    /// <summary>False once the beginning of an answer can no longer become a call.</summary>
    public static bool MayBecomeCall(string beginning)
    {
        ArgumentNullException.ThrowIfNull(beginning);
        string text = beginning.TrimStart();
        if (text.StartsWith('`') || text.Length == 0)
        {
            if (text.Length < 3) return text.All(character => character == '`');
            int line = text.IndexOf('\n', StringComparison.Ordinal);
            if (!text.StartsWith("```", StringComparison.Ordinal)) return false;
            if (line < 0) return FenceNames.Any(name => name.StartsWith(text[3..].Trim(), StringComparison.Ordinal));
            if (!FenceNames.Contains(text[3..line].Trim())) return false;
            text = text[line..];
        }

        string dense = string.Concat(text.Where(character => !char.IsWhiteSpace(character)).Take(9));
        return "{\"name\":".StartsWith(Cut(dense, 8), StringComparison.Ordinal) || "[{\"name\":".StartsWith(dense, StringComparison.Ordinal);
    }

    private static string Cut(string text, int length) => text.Length <= length ? text : text[..length];

    private static ToolCall? Read(JsonElement call, IReadOnlyList<Tool> tools)
    {
        if (call.ValueKind != JsonValueKind.Object || !call.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String) return null;
        string called = name.GetString()!;
        if (!tools.Any(tool => tool.Name == called)) return null;
        // Some answers say "arguments", as OpenAI's API does.
        if (!call.TryGetProperty("parameters", out JsonElement arguments) && !call.TryGetProperty("arguments", out arguments)) return new ToolCall(called, "{}");
        return arguments.ValueKind == JsonValueKind.Object ? new ToolCall(called, arguments.GetRawText()) : null;
    }

    private static string WithoutFence(string text)
    {
        if (!text.StartsWith("```", StringComparison.Ordinal)) return text;
        int line = text.IndexOf('\n', StringComparison.Ordinal);
        if (line < 0 || !FenceNames.Contains(text[3..line].Trim())) return text;
        string inside = text[(line + 1)..];
        return (inside.EndsWith("```", StringComparison.Ordinal) ? inside[..^3] : inside).Trim();
    }
}
