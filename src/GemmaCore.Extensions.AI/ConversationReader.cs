using System.Text.Json;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using Microsoft.Extensions.AI;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;
using TheirMessage = Microsoft.Extensions.AI.ChatMessage;
using TheirRole = Microsoft.Extensions.AI.ChatRole;

namespace GemmaCore.Extensions.AI;

/// <summary>A conversation of Microsoft.Extensions.AI: text and pictures in their order, calls and their results; anything else is refused by name.</summary>
internal sealed class ConversationReader
{
    // Line breaks and indents are tokens.
    private static readonly JsonSerializerOptions Dense = new(AIJsonUtilities.DefaultOptions) { WriteIndented = false };

    private readonly Dictionary<string, string> _calls = new(StringComparer.Ordinal);
    private bool _hasResults;

    private ConversationReader()
    {
    }

    /// <param name="messages">The conversation.</param>
    /// <param name="instructions">What goes in front of everything, as a system message; null for nothing.</param>
    /// <param name="tools">What the model is told that it may call.</param>
    /// <exception cref="NotSupportedException">Content or a role that the model does not take.</exception>
    /// <exception cref="ArgumentException">The result of a call that there was not.</exception>
    public static IReadOnlyList<OurMessage> Read(IEnumerable<TheirMessage> messages, string? instructions, IReadOnlyList<Tool> tools)
    {
        var reader = new ConversationReader();
        IReadOnlyList<OurMessage> read = [.. messages.Select(reader.Message)];
        // A result is a turn of the user, and so is what the user says next.
        if (reader._hasResults) read = ToolPrompt.JoinUserTurns(read);
        if (!string.IsNullOrEmpty(instructions)) read = Instructed(read, instructions);
        return tools.Count > 0 ? ToolPrompt.AddTo(read, tools) : read;
    }

    // The templates take one system message with one text.
    private static IReadOnlyList<OurMessage> Instructed(IReadOnlyList<OurMessage> messages, string instructions) => messages is [{ Role: OurRole.System } system, ..]
        ? [OurMessage.FromText(OurRole.System, $"{instructions}\n{((TextPart)system.Content[0]).Text}"), .. messages.Skip(1)]
        : [OurMessage.FromText(OurRole.System, instructions), .. messages];

    private OurMessage Message(TheirMessage message)
    {
        if (message.Role == TheirRole.Tool) return Results(message);
        OurRole role = RoleOf(message.Role);
        FunctionCallContent[] calls = role == OurRole.Assistant ? [.. message.Contents.OfType<FunctionCallContent>()] : [];
        List<ContentPart> parts = [.. message.Contents.Except(calls).Select(Part).OfType<ContentPart>()];
        if (role == OurRole.User) return new OurMessage(role, parts);
        if (parts.Exists(part => part is ImagePart)) throw new NotSupportedException($"A message of the {message.Role} holds a picture; only the user's messages may");
        // Updates of a streamed answer may come back as many pieces of one text.
        string text = string.Join(role == OurRole.System ? "\n" : "", parts.Cast<TextPart>().Select(part => part.Text));
        if (calls.Length == 0) return OurMessage.FromText(role, text);
        foreach (FunctionCallContent call in calls) _calls[call.CallId] = call.Name;
        return ToolPrompt.Calls(text, [.. calls.Select(call => new ToolCall(call.Name, Json(call.Arguments ?? new Dictionary<string, object?>())))]);
    }

    private OurMessage Results(TheirMessage message)
    {
        _hasResults = true;
        List<string> results = [];
        foreach (AIContent content in message.Contents)
        {
            if (content is not FunctionResultContent result) throw Unknown(content);
            string name = _calls.GetValueOrDefault(result.CallId) ?? throw new ArgumentException($"There is a result of call '{result.CallId}', and no such call before it", nameof(message));
            string text = result.Exception is { } error && result.Result is null ? $"Error: {error.Message}" : result.Result as string ?? Json(result.Result);
            results.Add(ToolPrompt.Result(name, text));
        }

        return OurMessage.FromText(OurRole.User, string.Join('\n', results));
    }

    private static string Json(object? value) => value is null ? "null" : JsonSerializer.Serialize(value, Dense.GetTypeInfo(value.GetType()));

    private static OurRole RoleOf(TheirRole role)
    {
        if (role == TheirRole.User) return OurRole.User;
        if (role == TheirRole.Assistant) return OurRole.Assistant;
        if (role == TheirRole.System || role.Value.Equals("developer", StringComparison.OrdinalIgnoreCase)) return OurRole.System;
        throw new NotSupportedException($"A message has the role '{role}'; expected system, developer, user, assistant or tool");
    }

    // Null for what says nothing to a model.
    private static ContentPart? Part(AIContent content) => content switch
    {
        TextContent text => new TextPart(text.Text),
        DataContent data when data.HasTopLevelMediaType("image") || data.MediaType == "application/dicom" => new ImagePart(ImageSource.FromBytes(data.Data)),
        UsageContent or TextReasoningContent => null,
        DataContent data => throw new NotSupportedException($"A message holds data of the type {data.MediaType}; the model takes text and images"),
        UriContent uri => throw new NotSupportedException($"A message holds an address ({uri.MediaType}); nothing is fetched: pass the bytes as DataContent"),
        _ => throw Unknown(content),
    };

    private static NotSupportedException Unknown(AIContent content) =>
        new($"A message holds {content.GetType().Name}; the model takes TextContent, images as DataContent, and calls and results in messages of the assistant and of tools");
}
