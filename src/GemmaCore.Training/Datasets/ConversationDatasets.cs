using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Inputs.Volumes;

namespace GemmaCore.Training.Datasets;

/// <summary>
/// Conversations: JSON lines of OpenAI messages (<c>{"messages": [{"role", "content"}]}</c>), or ShareGPT files (<c>{"conversations": [{"from", "value"}]}</c>). Pictures are
/// parts of a message, or stand in the row's <c>images</c> or <c>image</c> with <c>&lt;image&gt;</c> in the text. The last assistant turn is the answer.
/// </summary>
public static class ConversationDatasets
{
    /// <summary>Reads OpenAI messages, one JSON object a line.</summary>
    public static IReadOnlyList<TrainingExample> ReadMessages(string file, RowReport report) => Read(file, report, "messages", ReadMessage);

    /// <summary>Reads a ShareGPT file, a JSON array or JSON lines.</summary>
    public static IReadOnlyList<TrainingExample> ReadShareGpt(string file, RowReport report) => Read(file, report, "conversations", ReadTurn);

    private static List<TrainingExample> Read(string file, RowReport report, string key, Func<JsonElement, RowImages, ChatMessage> read)
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
                List<ChatMessage> messages = Conversation(document.RootElement, key, folder, read);
                if (messages.Count < 2 || messages[^1].Role != ChatRole.Assistant) throw new DatasetException("the last turn must be the assistant's");
                if (messages[^1].Content.Any(part => part is ImagePart)) throw new DatasetException("the answer holds an image");
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

    private static List<ChatMessage> Conversation(JsonElement row, string key, string folder, Func<JsonElement, RowImages, ChatMessage> read)
    {
        if (!row.TryGetProperty(key, out JsonElement turns) || turns.ValueKind != JsonValueKind.Array) throw new DatasetException($"there is no '{key}' list");
        RefuseTools(row, "tools");
        var images = new RowImages(row, folder);
        List<ChatMessage> messages = [.. turns.EnumerateArray().Select(turn => read(turn, images))];
        if (images.Left > 0) throw new DatasetException($"{images.Left} images have no <image> in the text");
        // LLaMA-Factory's column; a system turn comes before it, as there.
        if (row.TryGetProperty("system", out JsonElement system) && system.ValueKind == JsonValueKind.String && system.GetString()!.Length > 0 && messages is not [{ Role: ChatRole.System }, ..])
            messages.Insert(0, ChatMessage.FromText(ChatRole.System, system.GetString()!));
        return messages;
    }

    // No template here says them, and an answer without them would be another one.
    private static void RefuseTools(JsonElement item, string key)
    {
        if (item.TryGetProperty(key, out JsonElement tools) && tools.ValueKind switch
        {
            JsonValueKind.Null => false,
            JsonValueKind.String => tools.GetString() is not ("" or "[]"),
            JsonValueKind.Array => tools.GetArrayLength() > 0,
            _ => true,
        }) throw new DatasetException($"'{key}': conversations with tools cannot be trained on");
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

    private static ChatMessage ReadMessage(JsonElement message, RowImages images)
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
        RefuseTools(message, "tool_calls");
        if (content.ValueKind == JsonValueKind.String)
            return images.HasColumn ? WithImages(speaker, content.GetString()!, images) : ChatMessage.FromText(speaker, content.GetString()!);
        if (content.ValueKind != JsonValueKind.Array) throw new DatasetException("content must be a string or a list of parts");
        return new ChatMessage(speaker, [.. content.EnumerateArray().SelectMany(part => ReadPart(part, images))]);
    }

    private static IReadOnlyList<ContentPart> ReadPart(JsonElement part, RowImages images)
    {
        string type = part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out JsonElement kind) ? Text(kind, "type") : "";
        switch (type)
        {
            case "text" when part.TryGetProperty("text", out JsonElement text):
                return [new TextPart(Text(text, "text"))];
            case "image" when images.Of(part) is { } own:
                return [new ImagePart(Chosen(own, part))];
            case "image" when images.HasColumn:
                return [new ImagePart(Chosen(images.Next().Image, part))];
            case "volume" when part.TryGetProperty("volume", out JsonElement volume):
                return Volume(Text(volume, "volume"), part, images);
            case "image_url" when part.TryGetProperty("image_url", out JsonElement url):
                return [new ImagePart(images.Read(url, "image_url"))];
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
    private static IReadOnlyList<ContentPart> Volume(string name, JsonElement part, RowImages images)
    {
        if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal)) throw new DatasetException("the name of a volume is empty or holds a zero byte");
        try
        {
            return VolumePrompt.Parts(images.Place(name), Window(part), Number(part, "slices") ?? VolumePrompt.UsualSlices);
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

    private static ChatMessage ReadTurn(JsonElement turn, RowImages images)
    {
        // Tools that rename the keys leave the rest as it is.
        if (turn.ValueKind == JsonValueKind.Object && !turn.TryGetProperty("from", out _) && turn.TryGetProperty("role", out _)) return ReadMessage(turn, images);
        if (turn.ValueKind != JsonValueKind.Object || !turn.TryGetProperty("from", out JsonElement from) || !turn.TryGetProperty("value", out JsonElement value))
            throw new DatasetException("a turn needs from and value");
        ChatRole role = Text(from, "from") switch
        {
            "system" => ChatRole.System,
            "human" or "user" => ChatRole.User,
            "gpt" or "assistant" or "model" => ChatRole.Assistant,
            string other => throw new DatasetException($"speaker '{other}' is unknown; expected system, human or gpt"),
        };
        return WithImages(role, Text(value, "value"), images);
    }

    private static ChatMessage WithImages(ChatRole role, string text, RowImages images)
    {
        var parts = new List<ContentPart>();
        string[] pieces = text.Split("<image>");
        for (int i = 0; i < pieces.Length; i++)
        {
            if (i > 0) parts.Add(images.Next());
            if (pieces[i].Trim().Length > 0) parts.Add(new TextPart(pieces[i]));
        }

        return new ChatMessage(role, parts);
    }

    private static string Text(JsonElement value, string key) => RowImages.Text(value, key);
}
