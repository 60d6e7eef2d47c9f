using System.Text;

namespace GemmaCore.Generation;

/// <summary>
/// Tells what a model thought from what it answers, as the text comes. MedGemma 1.5 may begin with the token <c>&lt;unused94&gt;</c>, the word <c>thought</c> and its
/// reasoning up to <c>&lt;unused95&gt;</c>; neither token is special, so that decoding leaves both in the text (observed; spec/gemma3.md §1.5). White space around
/// the thought goes. An answer that begins otherwise is an answer to its last character, and one that is cut off in its thought has none.
/// </summary>
public sealed class ThoughtReader
{
    /// <summary>What a thought begins with.</summary>
    public const string Opening = "<unused94>";

    /// <summary>What it ends with.</summary>
    public const string Closing = "<unused95>";

    private const string Label = "thought";

    private readonly StringBuilder _held = new();
    private Place _place;
    private bool _hasThought, _hasBegun;
    private int _count;

    private enum Place
    {
        Beginning,
        Labelled,
        Thinking,
        Between,
        Answering,
    }

    /// <summary>Pushes, which are tokens, of the thought so far, its marks included; 0 where there is none.</summary>
    public int TokenCount => _hasThought ? _count : 0;

    /// <summary>A whole answer.</summary>
    public static (string Thought, string Answer) Read(string text)
    {
        var reader = new ThoughtReader();
        (string thought, string answer) = reader.Push(text);
        (string lastThought, string lastAnswer) = reader.Finish();
        return (thought + lastThought, answer + lastAnswer);
    }

    /// <summary>Tokens of a thought, its marks included; 0 where there is none.</summary>
    public static int CountTokens(IEnumerable<GeneratedToken> tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        var reader = new ThoughtReader();
        foreach (GeneratedToken token in tokens)
        {
            reader.Push(token.Text);
            if (reader._place is Place.Between or Place.Answering) break;
        }

        return reader.TokenCount;
    }

    /// <summary>Takes more text; returns what of it is certain. What may still be a mark, or white space at an end, comes later or not at all.</summary>
    public (string Thought, string Answer) Push(string text)
    {
        if (_place == Place.Answering) return ("", text);
        if (_place != Place.Between) _count++;
        _held.Append(text);
        string held = _held.ToString(), thought = "";
        if (_place == Place.Beginning && !TryOpen(ref held)) return Keep(held, "");
        if (_place == Place.Labelled && !TrySkipLabel(ref held)) return Keep(held, "");
        if (_place == Place.Thinking && !TryClose(ref held, out thought)) return Keep(held, thought);
        if (_place == Place.Between)
        {
            held = held.TrimStart();
            if (held.Length == 0) return Keep("", thought);
            _place = Place.Answering;
        }

        _held.Clear();
        return (thought, held);
    }

    /// <summary>The end: what was held back after all.</summary>
    public (string Thought, string Answer) Finish()
    {
        string rest = _held.ToString();
        _held.Clear();
        return _place switch
        {
            Place.Beginning => ("", rest),
            Place.Labelled when Label.StartsWith(rest, StringComparison.Ordinal) => ("", ""),
            Place.Labelled or Place.Thinking => (rest.TrimEnd(), ""),
            _ => ("", ""),
        };
    }

    private (string Thought, string Answer) Keep(string held, string thought)
    {
        _held.Clear().Append(held);
        return (thought, "");
    }

    // False while it may still begin with the mark.
    private bool TryOpen(ref string held)
    {
        string text = held.TrimStart();
        if (text.Length < Opening.Length && Opening.StartsWith(text, StringComparison.Ordinal)) return false;
        _hasThought = text.StartsWith(Opening, StringComparison.Ordinal);
        _place = _hasThought ? Place.Labelled : Place.Answering;
        if (_hasThought) held = text[Opening.Length..];
        return true;
    }

    private bool TrySkipLabel(ref string held)
    {
        held = held.TrimStart();
        // The label stands alone: "thoughtful" is a word of the thought.
        if (held.Length <= Label.Length && Label.StartsWith(held, StringComparison.Ordinal)) return false;
        if (held.StartsWith(Label, StringComparison.Ordinal) && (char.IsWhiteSpace(held[Label.Length]) || held[Label.Length] == Closing[0])) held = held[Label.Length..];
        _place = Place.Thinking;
        return true;
    }

    private bool TryClose(ref string held, out string thought)
    {
        if (!_hasBegun) held = held.TrimStart();
        _hasBegun |= held.Length > 0;
        int end = held.IndexOf(Closing, StringComparison.Ordinal);
        if (end >= 0)
        {
            thought = held[..end].TrimEnd();
            held = held[(end + Closing.Length)..];
            _place = Place.Between;
            return true;
        }

        int certain = held.Length;
        for (int length = Math.Min(Closing.Length - 1, held.Length); length > 0; length--)
        {
            if (!held.EndsWith(Closing[..length], StringComparison.Ordinal)) continue;
            certain -= length;
            break;
        }

        thought = held[..certain].TrimEnd();
        held = held[thought.Length..];
        return false;
    }
}
