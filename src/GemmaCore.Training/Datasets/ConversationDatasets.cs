using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Inputs.Volumes;

namespace GemmaCore.Training.Datasets;

/// <summary>
/// Conversations: JSON lines of OpenAI messages (<c>{"messages": [{"role", "content"}]}</c>), or ShareGPT files
/// (<c>{"conversations": [{"from", "value"}], "images": [...]}</c>, with <c>&lt;image&gt;</c> in the text). The last assistant turn is the answer.
/// </summary>
public static class ConversationDatasets
{
    /// <summary>Reads OpenAI messages, one JSON object a line.</summary>
    public static IReadOnlyList<TrainingExample> ReadMessages(string file, RowReport report) => Read(file, report, (row, folder) =>
    {
        if (!row.TryGetProperty("messages", out JsonElement messages) || messages.ValueKind != JsonValueKind.Array)
            throw new DatasetException("there is no 'messages' list");
        return [.. messages.EnumerateArray().Select(message => ReadMessage(message, folder))];
    });

    /// <summary>Reads a ShareGPT file, a JSON array or JSON lines.</summary>
    public static IReadOnlyList<TrainingExample> ReadShareGpt(string file, RowReport report) => Read(file, report, (row, folder) =>
    {
        if (!row.TryGetProperty("conversations", out JsonElement turns) || turns.ValueKind != JsonValueKind.Array)
            throw new DatasetException("there is no 'conversations' list");
        var images = new Queue<string>(row.TryGetProperty("images", out JsonElement list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray().Select(item => Text(item, "images"))
            : []);
        List<ChatMessage> messages = [.. turns.EnumerateArray().Select(turn => ReadTurn(turn, images, folder))];
        return images.Count == 0 ? messages : throw new DatasetException($"{images.Count} images have no <image> in the text");
    });

    private static List<TrainingExample> Read(string file, RowReport report, Func<JsonElement, string, List<ChatMessage>> read)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (!File.Exists(file)) throw new DatasetException($"{file}: not found");
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!, name = Path.GetFileNameWithoutExtension(file);
        var examples = new List<TrainingExample>();
        int index = -1;
        foreach ((string where, string json) in Rows(file))
        {
            index++;
            try
            {
                using JsonDocument document = JsonDocument.Parse(json);
                if (document.RootElement.ValueKind != JsonValueKind.Object) throw new DatasetException("expected a JSON object");
                List<ChatMessage> messages = read(document.RootElement, folder);
                if (messages.Count < 2 || messages[^1].Role != ChatRole.Assistant) throw new DatasetException("the last turn must be the assistant's");
                string answer = string.Concat(messages[^1].Content.OfType<TextPart>().Select(part => part.Text));
                if (answer.Length == 0) throw new DatasetException("the answer is empty");
                examples.Add(new TrainingExample(name, where, messages[..^1], answer, null) { Uid = FormattableString.Invariant($"{name}:{index}") });
            }
            catch (Exception error) when (error is DatasetException or JsonException)
            {
                report.Add(where, error.Message);
            }
            catch (Exception error) when (error is InvalidOperationException or ArgumentException)
            {
                // Strings are decoded when they are asked for.
                report.Add(where, "a string is not valid Unicode");
            }
        }

        return examples.Count > 0 ? examples : throw new DatasetException($"{file}: there are no usable rows");
    }

    private static IEnumerable<(string Where, string Json)> Rows(string file)
    {
        string text = File.ReadAllText(file);
        if (text.TrimStart().StartsWith('['))
        {
            using JsonDocument document = ParseArray(text, file);
            return [.. document.RootElement.EnumerateArray().Select((row, index) => ($"{file}: row {index}", row.GetRawText()))];
        }

        return text.Split('\n').Select((line, index) => ($"{file}: line {index + 1}", line)).Where(row => !string.IsNullOrWhiteSpace(row.line));
    }

    private static JsonDocument ParseArray(string text, string file)
    {
        try
        {
            return JsonDocument.Parse(text);
        }
        catch (JsonException error)
        {
            throw new DatasetException($"{file}: not valid JSON: {error.Message}");
        }
    }

    private static ChatMessage ReadMessage(JsonElement message, string folder)
    {
        if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("role", out JsonElement role) || !message.TryGetProperty("content", out JsonElement content))
            throw new DatasetException("a message needs role and content");
        ChatRole speaker = Text(role, "role") switch
        {
            "system" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" or "model" => ChatRole.Assistant,
            string other => throw new DatasetException($"role '{other}' is unknown; expected system, user or assistant"),
        };
        if (content.ValueKind == JsonValueKind.String) return ChatMessage.FromText(speaker, content.GetString()!);
        if (content.ValueKind != JsonValueKind.Array) throw new DatasetException("content must be a string or a list of parts");
        return new ChatMessage(speaker, [.. content.EnumerateArray().SelectMany(part => ReadPart(part, folder))]);
    }

    private static IReadOnlyList<ContentPart> ReadPart(JsonElement part, string folder)
    {
        string type = part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out JsonElement kind) ? Text(kind, "type") : "";
        switch (type)
        {
            case "text" when part.TryGetProperty("text", out JsonElement text):
                return [new TextPart(Text(text, "text"))];
            case "image" when part.TryGetProperty("image", out JsonElement image):
                return [new ImagePart(Chosen(Image(Text(image, "image"), folder), part))];
            case "volume" when part.TryGetProperty("volume", out JsonElement volume):
                return Volume(Text(volume, "volume"), part, folder);
            case "image_url" when part.TryGetProperty("image_url", out JsonElement url):
                return [new ImagePart(Image(Text(url.ValueKind == JsonValueKind.Object && url.TryGetProperty("url", out JsonElement inner) ? inner : url, "image_url"), folder))];
            default:
                throw new DatasetException($"content part of type '{type}' is unknown or incomplete; expected text, image, image_url or volume");
        }
    }

    // Beside the name: "frame" and "window" for DICOM files, "region" and "magnification" for slides.
    private static ImageSource Chosen(ImageSource image, JsonElement part)
    {
        try
        {
            return image with
            {
                Frame = Number(part, "frame") ?? 1,
                Window = Window(part),
                Region = part.TryGetProperty("region", out JsonElement region) ? PictureRegion.Parse(region.ValueKind == JsonValueKind.Array ? region.GetRawText().Trim('[', ']') : Text(region, "region")) : null,
                Magnification = part.TryGetProperty("magnification", out JsonElement times) ? TileCut.ParseMagnification(times.ValueKind == JsonValueKind.Number ? times.GetRawText() : Text(times, "magnification")) : null,
            };
        }
        catch (InputException error)
        {
            throw new DatasetException(error.Message);
        }
    }

    // The slices of a volume: a NIfTI file or a folder of DICOM files; "slices" is how many at most.
    private static IReadOnlyList<ContentPart> Volume(string name, JsonElement part, string folder)
    {
        if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal)) throw new DatasetException("the name of a volume is empty or holds a zero byte");
        try
        {
            return VolumePrompt.Parts(Path.GetFullPath(Path.Combine(folder, name)), Window(part), Number(part, "slices") ?? VolumePrompt.UsualSlices);
        }
        catch (InputException error)
        {
            throw new DatasetException(error.Message);
        }
    }

    private static int? Number(JsonElement part, string key)
    {
        if (!part.TryGetProperty(key, out JsonElement value)) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= 1 ? number : throw new DatasetException($"'{key}' must be a number from 1 on");
    }

    private static GreyWindow? Window(JsonElement part)
    {
        try
        {
            return part.TryGetProperty("window", out JsonElement window) ? GreyWindow.Parse(Text(window, "window")) : null;
        }
        catch (InputException error)
        {
            throw new DatasetException(error.Message);
        }
    }

    private static ChatMessage ReadTurn(JsonElement turn, Queue<string> images, string folder)
    {
        if (turn.ValueKind != JsonValueKind.Object || !turn.TryGetProperty("from", out JsonElement from) || !turn.TryGetProperty("value", out JsonElement value))
            throw new DatasetException("a turn needs from and value");
        ChatRole role = Text(from, "from") switch
        {
            "system" => ChatRole.System,
            "human" or "user" => ChatRole.User,
            "gpt" or "assistant" or "model" => ChatRole.Assistant,
            string other => throw new DatasetException($"speaker '{other}' is unknown; expected system, human or gpt"),
        };
        var parts = new List<ContentPart>();
        string[] pieces = Text(value, "value").Split("<image>");
        for (int i = 0; i < pieces.Length; i++)
        {
            if (i > 0) parts.Add(new ImagePart(Image(images.TryDequeue(out string? image) ? image : throw new DatasetException("more <image> than images"), folder)));
            if (pieces[i].Trim().Length > 0) parts.Add(new TextPart(pieces[i]));
        }

        return new ChatMessage(role, parts);
    }

    private static ImageSource Image(string text, string folder)
    {
        if (text.StartsWith("data:", StringComparison.Ordinal))
        {
            int comma = text.IndexOf(";base64,", StringComparison.Ordinal);
            var bytes = new byte[text.Length];
            return comma >= 0 && Convert.TryFromBase64String(text[(comma + 8)..], bytes, out int length)
                ? ImageSource.FromBytes(bytes.AsMemory(0, length))
                : throw new DatasetException("an image data URL must hold base64");
        }

        if (text.Contains("://", StringComparison.Ordinal)) throw new DatasetException($"image '{text}': pictures are not fetched; save it and give its path");
        if (text.Length == 0 || text.Contains('\0', StringComparison.Ordinal)) throw new DatasetException("the name of an image is empty or holds a zero byte");
        string path = Path.GetFullPath(Path.Combine(folder, text));
        return File.Exists(path) ? ImageSource.FromFile(path) : throw new DatasetException($"image '{text}' not found");
    }

    private static string Text(JsonElement value, string key) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new DatasetException($"'{key}' must be a string, got {value.GetRawText()}");
}
