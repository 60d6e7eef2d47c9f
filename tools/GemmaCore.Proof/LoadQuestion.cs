using System.Globalization;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Proof;

/// <summary>A request of the load test, and the answer that it gets when it is alone.</summary>
/// <param name="Kind">Under which line of the table it counts.</param>
/// <param name="Path">Its route.</param>
/// <param name="Fields">The body but for <c>stream</c>.</param>
/// <param name="Expected">As <see cref="AnswerOf"/> reads it.</param>
internal sealed record LoadQuestion(string Kind, string Path, Dictionary<string, object> Fields, string Expected)
{
    public const string Chat = "/v1/chat/completions", Classify = "/v1/classify";

    private readonly string _plain = JsonSerializer.Serialize(Fields), _streamed = JsonSerializer.Serialize(new Dictionary<string, object>(Fields) { ["stream"] = true });

    /// <summary>Whether it can be streamed.</summary>
    public bool Streams => Path == Chat;

    public string Body(bool stream) => stream ? _streamed : _plain;

    /// <summary>What a reply says, without names, times and counts: text, calls and how it ended; scores; or the status and the code of a refusal.</summary>
    public string AnswerOf(int status, string reply, bool stream)
    {
        if (status != 200) return string.Create(CultureInfo.InvariantCulture, $"{status} {JsonDocument.Parse(reply).RootElement.GetProperty("error").GetProperty("code")}");
        if (stream) return Streamed(reply);
        JsonElement body = JsonDocument.Parse(reply).RootElement;
        if (Path == Classify) return body.GetProperty("data").ToString();
        JsonElement choice = body.GetProperty("choices")[0], message = choice.GetProperty("message");
        string calls = message.TryGetProperty("tool_calls", out JsonElement list) && list.ValueKind == JsonValueKind.Array ? string.Concat(list.EnumerateArray().Select(Call)) : "";
        return $"{message.GetProperty("content").GetString()}{calls} ({choice.GetProperty("finish_reason")})";
    }

    private static string Streamed(string reply)
    {
        StringBuilder text = new(), calls = new();
        string? end = null;
        foreach (string line in reply.Split('\n'))
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            JsonElement chunk = JsonDocument.Parse(line[6..]).RootElement;
            if (!chunk.TryGetProperty("choices", out JsonElement choices)) return line; // an error in the stream is the wrong answer
            if (choices.GetArrayLength() == 0) continue;
            JsonElement delta = choices[0].GetProperty("delta");
            if (delta.TryGetProperty("content", out JsonElement content)) text.Append(content.GetString());
            if (delta.TryGetProperty("tool_calls", out JsonElement list)) foreach (JsonElement call in list.EnumerateArray()) calls.Append(Call(call));
            if (choices[0].TryGetProperty("finish_reason", out JsonElement reason) && reason.ValueKind == JsonValueKind.String) end = reason.GetString();
        }

        return $"{text}{calls} ({end})";
    }

    private static string Call(JsonElement call) => $"[{call.GetProperty("function").GetProperty("name")} {call.GetProperty("function").GetProperty("arguments")}]";
}
