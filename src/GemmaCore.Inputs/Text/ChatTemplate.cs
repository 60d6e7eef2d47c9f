using System.Text;

namespace GemmaCore.Inputs;

/// <summary>A stretch of rendered conversation; training supervises the answers.</summary>
/// <param name="Text">Template text with control tokens written out and one <c>&lt;start_of_image&gt;</c> per picture.</param>
/// <param name="IsAnswer">True for what the model has to say: the reply and the mark that ends it.</param>
internal readonly record struct RenderedPiece(string Text, bool IsAnswer);

/// <summary>How a conversation is written out for a model: <see cref="Gemma3"/> or <see cref="Zephyr"/> (TinyLlama's chat form).</summary>
public abstract class ChatTemplate
{
    /// <summary>What stands for a picture in rendered text, before it is expanded into image tokens.</summary>
    internal const string ImageMark = "<start_of_image>";

    /// <summary>Gemma 3's template: system text opens the first user turn, roles alternate, every text is trimmed.</summary>
    public static ChatTemplate Gemma3 { get; } = new Gemma3Template();

    /// <summary>Zephyr's template as TinyLlama-1.1B-Chat ships it: a turn per role, closed by <c>&lt;/s&gt;</c>; text only.</summary>
    public static ChatTemplate Zephyr { get; } = new ZephyrTemplate();

    /// <summary>The token that ends the model's turn.</summary>
    public abstract string EndOfTurn { get; }

    /// <summary>Picks the template for a model folder's template text, or for its model type where it has no template.</summary>
    /// <exception cref="InputException">Neither tells of a template we know.</exception>
    public static ChatTemplate For(string? templateText, string modelType)
    {
        if (templateText is not null)
        {
            if (templateText.Contains("<start_of_turn>", StringComparison.Ordinal)) return Gemma3;
            if (templateText.Contains("<|user|>", StringComparison.Ordinal)) return Zephyr;
            throw new InputException("the model's chat template is neither Gemma 3's nor Zephyr's; use a raw prompt");
        }
        if (modelType.StartsWith("gemma3", StringComparison.Ordinal)) return Gemma3;
        if (modelType == "llama") return Zephyr;
        throw new InputException($"no chat template is known for models of type '{modelType}'; use a raw prompt");
    }

    /// <summary>The conversation as text, beginning with the token that opens a text.</summary>
    /// <param name="messages">System first if at all, then user and assistant in turn.</param>
    /// <param name="addGenerationPrompt">End with the opening of the model's turn.</param>
    /// <exception cref="InputException">Roles out of order, or a message that this template cannot say.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) => messages.Count == 0
        ? throw new InputException("the conversation is empty; expected at least one message")
        : string.Concat(RenderPieces(messages, addGenerationPrompt).Select(piece => piece.Text));

    /// <summary>A reply as the template writes it, with its end mark: what a model is trained to say.</summary>
    public abstract string RenderAnswer(string answer);

    internal abstract IReadOnlyList<RenderedPiece> RenderPieces(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt);

    /// <summary>The text of a message without pictures.</summary>
    private protected static string TextOf(ChatMessage message, int index)
    {
        if (message.Content is [] or [TextPart]) return message.Content.Count == 0 ? "" : ((TextPart)message.Content[0]).Text;
        throw new InputException($"message {index} ({message.Role}) has {message.Content.Count} parts; expected a single text there");
    }

    /// <summary>Checks that turn <paramref name="turn"/> (counted after a system message) is the user's if even, the assistant's if odd.</summary>
    private protected static void RequireAlternation(ChatRole role, int turn, int index)
    {
        ChatRole expected = turn % 2 == 0 ? ChatRole.User : ChatRole.Assistant;
        if (role != expected)
            throw new InputException($"message {index} is the {Name(role)}'s where the {Name(expected)}'s is expected; " +
                "roles must alternate user, assistant, user, … after at most one system message");
    }

    private static string Name(ChatRole role) => role switch { ChatRole.System => "system", ChatRole.User => "user", _ => "assistant" };

    private sealed class Gemma3Template : ChatTemplate
    {
        public override string EndOfTurn => "<end_of_turn>";

        public override string RenderAnswer(string answer) => Trim(answer) + EndOfTurn;

        internal override IReadOnlyList<RenderedPiece> RenderPieces(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
        {
            List<RenderedPiece> pieces = [];
            var text = new StringBuilder("<bos>");
            bool hasSystem = messages.Count > 0 && messages[0].Role == ChatRole.System;
            int first = hasSystem ? 1 : 0;
            for (int index = first; index < messages.Count; index++)
            {
                ChatMessage message = messages[index];
                RequireAlternation(message.Role, index - first, index);
                bool isAnswer = message.Role == ChatRole.Assistant;
                text.Append("<start_of_turn>").Append(isAnswer ? "model" : "user").Append('\n');
                if (hasSystem && index == first) text.Append(TextOf(messages[0], 0)).Append("\n\n");
                if (isAnswer) Flush(text, pieces, isAnswer: false);
                foreach (ContentPart part in message.Content)
                    text.Append(part is TextPart words ? Trim(words.Text) : ImageMark);
                text.Append(EndOfTurn);
                if (isAnswer) Flush(text, pieces, isAnswer: true);
                text.Append('\n');
            }
            if (addGenerationPrompt) text.Append("<start_of_turn>model\n");
            Flush(text, pieces, isAnswer: false);
            return pieces;
        }

        // Jinja's trim is Python's str.strip, which also takes the four ASCII separators that .NET does not count as white space.
        private static string Trim(string text)
        {
            int start = 0, end = text.Length;
            while (start < end && IsBlank(text[start])) start++;
            while (end > start && IsBlank(text[end - 1])) end--;
            return text[start..end];
        }

        private static bool IsBlank(char character) => char.IsWhiteSpace(character) || character is >= '\u001c' and <= '\u001f';
    }

    private sealed class ZephyrTemplate : ChatTemplate
    {
        public override string EndOfTurn => "</s>";

        public override string RenderAnswer(string answer) => answer + EndOfTurn;

        internal override IReadOnlyList<RenderedPiece> RenderPieces(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
        {
            List<RenderedPiece> pieces = [];
            var text = new StringBuilder("<s>");
            int first = messages.Count > 0 && messages[0].Role == ChatRole.System ? 1 : 0;
            for (int index = 0; index < messages.Count; index++)
            {
                ChatRole role = messages[index].Role;
                if (index >= first) RequireAlternation(role, index - first, index);
                text.Append("<|").Append(Name(role)).Append("|>\n");
                if (role == ChatRole.Assistant) Flush(text, pieces, isAnswer: false);
                text.Append(TextOf(messages[index], index)).Append(EndOfTurn);
                if (role == ChatRole.Assistant) Flush(text, pieces, isAnswer: true);
                text.Append('\n');
            }
            if (addGenerationPrompt) text.Append("<|assistant|>\n");
            Flush(text, pieces, isAnswer: false);
            return pieces;
        }
    }

    private static void Flush(StringBuilder text, List<RenderedPiece> pieces, bool isAnswer)
    {
        if (text.Length > 0) pieces.Add(new RenderedPiece(text.ToString(), isAnswer));
        text.Clear();
    }
}
