using System.Text;
using GemmaCore.Inputs;

namespace GemmaCore.Generation;

/// <summary>
/// Turns the ids of one answer into text as it grows. Text that could still become a stop string is held back until it cannot.
/// </summary>
public sealed class TokenStream
{
    private readonly TokenStreamDecoder _decoder;
    private readonly IReadOnlyList<string> _stops;
    private readonly int _vocabularySize;
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _held = new();

    /// <summary>An empty stream.</summary>
    public TokenStream(Tokenizer tokenizer, IReadOnlyList<string> stops)
    {
        ArgumentNullException.ThrowIfNull(stops);
        ArgumentNullException.ThrowIfNull(tokenizer);
        _vocabularySize = tokenizer.VocabularySize;
        _decoder = new TokenStreamDecoder(tokenizer, skipSpecialTokens: true);
        _stops = stops;
    }

    /// <summary>All text that has become final.</summary>
    public string Text => _text.ToString();

    /// <summary>True once a stop string has appeared; it and what follows are not part of the text.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next id and returns the text that became final. Ids beyond the tokenizer's have none: Gemma's head has 63 rows more than its tokenizer has tokens.</summary>
    public string Push(int id) => id >= _vocabularySize ? "" : Release(_decoder.Push(id), atEnd: false);

    /// <summary>Ends the answer and returns what was held back.</summary>
    public string Finish() => Stopped ? "" : Release(_decoder.Finish(), atEnd: true);

    private string Release(string added, bool atEnd)
    {
        if (Stopped || (added.Length == 0 && !atEnd)) return "";
        if (_stops.Count == 0)
        {
            _text.Append(added);
            return added;
        }

        _held.Append(added);
        string held = _held.ToString();
        int end = held.Length;
        foreach (string stop in _stops)
        {
            int found = held.IndexOf(stop, StringComparison.Ordinal);
            if (found < 0 || found > end || (found == end && Stopped)) continue;
            end = found;
            Stopped = true;
        }

        if (!Stopped && !atEnd) end -= LongestStart(held);
        _held.Remove(0, end);
        string final = held[..end];
        _text.Append(final);
        return final;
    }

    // Length of the longest end of the text that begins a stop string.
    private int LongestStart(string held)
    {
        int longest = 0;
        foreach (string stop in _stops)
        {
            for (int length = Math.Min(stop.Length - 1, held.Length); length > longest; length--)
            {
                if (!held.EndsWith(stop[..length], StringComparison.Ordinal)) continue;
                longest = length;
                break;
            }
        }

        return longest;
    }
}
