using GemmaCore.Inputs;
using Microsoft.Extensions.AI;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;
using TheirMessage = Microsoft.Extensions.AI.ChatMessage;
using TheirRole = Microsoft.Extensions.AI.ChatRole;

namespace GemmaCore.Extensions.AI;

/// <summary>A conversation of Microsoft.Extensions.AI: text and pictures in their order; anything else is refused by name.</summary>
internal static class ConversationReader
{
    /// <param name="messages">The conversation.</param>
    /// <param name="instructions">What goes in front of everything, as a system message; null for nothing.</param>
    /// <exception cref="NotSupportedException">Content or a role that the model does not take.</exception>
    public static IReadOnlyList<OurMessage> Read(IEnumerable<TheirMessage> messages, string? instructions)
    {
        List<OurMessage> read = [.. messages.Select(Message)];
        if (string.IsNullOrEmpty(instructions)) return read;
        if (read is not [{ Role: OurRole.System } system, ..]) return [OurMessage.FromText(OurRole.System, instructions), .. read];
        // The templates take one system message with one text.
        return [OurMessage.FromText(OurRole.System, $"{instructions}\n{((TextPart)system.Content[0]).Text}"), .. read.Skip(1)];
    }

    private static OurMessage Message(TheirMessage message)
    {
        OurRole role = RoleOf(message.Role);
        List<ContentPart> parts = [.. message.Contents.Select(Part).OfType<ContentPart>()];
        if (role != OurRole.User && parts.Exists(part => part is ImagePart)) throw new NotSupportedException($"A message of the {message.Role} holds a picture; only the user's messages may");
        // Updates of a streamed answer may come back as many pieces of one text.
        if (role != OurRole.User) parts = [new TextPart(string.Join(role == OurRole.System ? "\n" : "", parts.Cast<TextPart>().Select(part => part.Text)))];
        return new OurMessage(role, parts);
    }

    private static OurRole RoleOf(TheirRole role)
    {
        if (role == TheirRole.User) return OurRole.User;
        if (role == TheirRole.Assistant) return OurRole.Assistant;
        if (role == TheirRole.System || role.Value.Equals("developer", StringComparison.OrdinalIgnoreCase)) return OurRole.System;
        throw new NotSupportedException($"A message has the role '{role}'; expected system, developer, user or assistant");
    }

    // Null for what says nothing to a model.
    private static ContentPart? Part(AIContent content) => content switch
    {
        TextContent text => new TextPart(text.Text),
        DataContent data when data.HasTopLevelMediaType("image") => new ImagePart(ImageSource.FromBytes(data.Data)),
        UsageContent => null,
        DataContent data => throw new NotSupportedException($"A message holds data of the type {data.MediaType}; the model takes text and images"),
        UriContent uri => throw new NotSupportedException($"A message holds an address ({uri.MediaType}); nothing is fetched: pass the bytes as DataContent"),
        _ => throw new NotSupportedException($"A message holds {content.GetType().Name}; the model takes TextContent and images as DataContent"),
    };
}
