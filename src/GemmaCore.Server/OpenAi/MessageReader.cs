using System.Text.Json;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using GemmaCore.Server.OpenAi.Tools;
using GemmaCore.Server.RemoteImages;

namespace GemmaCore.Server.OpenAi;

/// <summary>A conversation from the wire: roles, text, pictures in their places, some of them still to be fetched (<see cref="ServedModel.Images"/>).</summary>
internal static class MessageReader
{
    private const int MostMessages = 2048, MostParts = 256;

    public static IReadOnlyList<ChatMessage> Read(RequestField messages, ServedModel served)
    {
        var read = new List<ChatMessage>();
        var pictures = new PictureLimits(served.Options, served.Images.Hosts);
        var tools = new ToolMessages();
        foreach (RequestField message in messages.Required().Items(MostMessages)) read.Add(Message(message, pictures, tools));
        if (read.Count == 0) throw messages.Wrong("at least one message");
        return tools.HasResults ? ToolPrompt.JoinUserTurns(read) : read;
    }

    private static ChatMessage Message(RequestField message, PictureLimits pictures, ToolMessages tools)
    {
        message.AllowOnly(["role", "content", "name", "refusal", "annotations", "tool_calls", "tool_call_id", "reasoning_content"]);
        if (!message["annotations"].IsNull) message["annotations"].Items(0); // OpenAI's own answers come back with an empty list
        string name = message["role"].Required().Text();
        ChatRole role = name switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" => ChatRole.User,
            _ => throw message["role"].Wrong("system, developer, user, assistant or tool"),
        };
        if (name == "tool") return tools.Result(message, PlainText(message["content"].Required()));
        // An earlier thought comes back with its answer, from clients that send what they got; the model is shown what was said.
        if (!message["reasoning_content"].IsNull && role != ChatRole.Assistant) throw message["reasoning_content"].Wrong("a message of role assistant");
        if (!message["tool_call_id"].IsNull) throw message["tool_call_id"].Wrong("a message of role tool");
        if (message["tool_calls"] is { IsNull: false } calls && !(role == ChatRole.Assistant && calls.IsEmpty))
            return role == ChatRole.Assistant ? tools.Calls(message["content"].IsNull ? null : PlainText(message["content"]), calls) : throw calls.Wrong("a message of role assistant");
        RequestField content = message["content"];
        // What an answer of tokens for its thought alone, or a refusal, comes back as.
        if (content.IsNull && role == ChatRole.Assistant) return ChatMessage.FromText(role, message["refusal"].TextOrNull() ?? "");
        content.Required();
        if (content.Kind == JsonValueKind.String) return ChatMessage.FromText(role, content.Text());
        List<ContentPart> parts = [.. content.Items(MostParts).Select(part => Part(part, role, pictures))];
        // The templates take one text from a system message.
        if (role == ChatRole.System && parts.TrueForAll(part => part is TextPart)) parts = [new TextPart(string.Join('\n', parts.Cast<TextPart>().Select(part => part.Text)))];
        if (role != ChatRole.User && parts.Exists(part => part is ImagePart or RemotePicture)) throw content.Wrong($"text alone in a message of the {name}");
        return new ChatMessage(role, parts);
    }

    private static string PlainText(RequestField content)
    {
        if (content.Kind == JsonValueKind.String) return content.Text();
        return string.Join('\n', content.Items(MostParts).Select(part => part["type"].Required().Text() == "text" ? part["text"].Required().Text() : throw part["type"].Wrong("text")));
    }

    internal static GreyWindow? Window(RequestField field)
    {
        try
        {
            return field.IsNull ? null : GreyWindow.Parse(field.Text());
        }
        catch (InputException)
        {
            throw field.Wrong(GreyWindow.Known);
        }
    }

    private static ContentPart Part(RequestField part, ChatRole role, PictureLimits pictures)
    {
        string type = part["type"].Required().Text();
        switch (type)
        {
            case "text":
                part.AllowOnly(["type", "text"]);
                return new TextPart(part["text"].Required().Text());
            case "refusal" when role == ChatRole.Assistant:
                part.AllowOnly(["type", "refusal"]);
                return new TextPart(part["refusal"].Required().Text());
            case "image_url":
                part.AllowOnly(["type", "image_url"]);
                RequestField picture = part["image_url"].Required();
                if (picture.Kind == JsonValueKind.String) return pictures.Take(picture);
                // "detail" says how much to look at it; every picture is seen whole here.
                picture.AllowOnly(["url", "detail"]);
                return pictures.Take(picture["url"].Required());
            case "image_dicom":
                part.AllowOnly(["type", "image_dicom"]);
                RequestField file = part["image_dicom"].Required();
                file.AllowOnly(["url", "frame", "window"]);
                return pictures.Take(file["url"].Required(), file["frame"].IntegerOr(1, 1, int.MaxValue), Window(file["window"]));
            default:
                throw part["type"].Wrong("text, image_url or image_dicom");
        }
    }
}
