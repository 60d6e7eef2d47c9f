using System.Buffers;

namespace GemmaCore.Inputs;

/// <summary>A token that is matched whole in the raw text, before any merging.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">True when decoding can leave it out.</param>
internal sealed record AddedToken(string Content, int Id, bool IsSpecial);

/// <summary>Finds added tokens in text: the leftmost, and of those starting at one place the longest.</summary>
internal sealed class AddedTokenTrie
{
    private readonly Dictionary<ulong, int> _children = [];
    private readonly List<int> _idAtNode = [-1];
    private readonly SearchValues<char> _firstCharacters;

    /// <summary>A trie of all <paramref name="tokens"/>; those with empty text never match.</summary>
    public AddedTokenTrie(IEnumerable<AddedToken> tokens)
    {
        HashSet<char> firstCharacters = [];
        foreach (AddedToken token in tokens)
        {
            if (token.Content.Length == 0) continue;
            firstCharacters.Add(token.Content[0]);
            int node = 0;
            foreach (char character in token.Content)
            {
                ulong step = Step(node, character);
                if (!_children.TryGetValue(step, out int child))
                {
                    child = _idAtNode.Count;
                    _children.Add(step, child);
                    _idAtNode.Add(-1);
                }
                node = child;
            }
            _idAtNode[node] = token.Id;
        }
        _firstCharacters = SearchValues.Create([.. firstCharacters]);
    }

    /// <summary>The next added token at or after <paramref name="from"/>; false when the rest of the text holds none.</summary>
    public bool TryFind(ReadOnlySpan<char> text, int from, out int start, out int length, out int id)
    {
        for (start = from; start < text.Length; start++)
        {
            int skip = text[start..].IndexOfAny(_firstCharacters);
            if (skip < 0) break;
            start += skip;
            (length, id) = LongestAt(text[start..]);
            if (length > 0) return true;
        }
        (start, length, id) = (text.Length, 0, -1);
        return false;
    }

    private (int Length, int Id) LongestAt(ReadOnlySpan<char> text)
    {
        int node = 0, length = 0, id = -1;
        for (int i = 0; i < text.Length && _children.TryGetValue(Step(node, text[i]), out node); i++)
            if (_idAtNode[node] >= 0) (length, id) = (i + 1, _idAtNode[node]);
        return (length, id);
    }

    private static ulong Step(int node, char character) => ((ulong)(uint)node << 16) | character;
}
