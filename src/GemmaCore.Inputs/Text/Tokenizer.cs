using System.Text;

namespace GemmaCore.Inputs;

/// <summary>
/// Text to token ids and back, for SentencePiece-style byte-pair vocabularies (Gemma, LLaMA). Ids equal those of Hugging Face's
/// tokenizers on every text. Safe to use from several threads.
/// </summary>
public sealed class Tokenizer
{
    private const char Space = '\u2581'; // the mark that stands for a space inside the vocabulary

    private readonly TokenizerDefinition _definition;
    private readonly AddedTokenTrie _addedTokens;
    private readonly HashSet<int> _special;
    private readonly int[] _idOfByte;
    private readonly Dictionary<int, byte> _byteOfId = [];
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;

    internal Tokenizer(TokenizerDefinition definition)
    {
        _definition = definition;
        _addedTokens = new AddedTokenTrie(definition.AddedTokens);
        _special = [.. definition.AddedTokens.Where(token => token.IsSpecial).Select(token => token.Id)];
        _ids = definition.Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _idOfByte = new int[256];
        for (int value = 0; value < 256; value++)
        {
            _idOfByte[value] = definition.Ids.GetValueOrDefault($"<0x{value:X2}>", -1);
            if (_idOfByte[value] >= 0) _byteOfId[_idOfByte[value]] = (byte)value;
        }
    }

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize => _definition.Pieces.Length;

    /// <summary>Id of the token that opens a text; -1 when the tokenizer has none.</summary>
    public int BosId => _definition.BosId;

    /// <summary>Id of the token that ends a text; -1 when the tokenizer has none. What stops an answer is in <see cref="GenerationDefaults"/>.</summary>
    public int EosId => _definition.EosId;

    /// <summary>Id of the padding token; -1 when the tokenizer has none.</summary>
    public int PadId => _definition.PadId;

    /// <summary>True when decoding drops one space at the beginning of a text (LLaMA).</summary>
    public bool StripsLeadingSpace => _definition.StripsLeadingSpace;

    /// <summary>The tokenizer of a Hugging Face folder: <c>tokenizer.model</c>, or <c>tokenizer.json</c> where only that exists.</summary>
    /// <exception cref="InputException">No tokenizer in the folder, or one that cannot be read.</exception>
    public static Tokenizer Load(string folder)
    {
        string model = Path.Combine(folder, "tokenizer.model"), json = Path.Combine(folder, "tokenizer.json");
        if (File.Exists(model)) return FromModelFile(model);
        if (File.Exists(json)) return FromJsonFile(json);
        throw new InputException($"{folder}: no tokenizer.model and no tokenizer.json; download the tokenizer files of the model into this folder");
    }

    /// <summary>A SentencePiece model; <c>added_tokens.json</c> and <c>tokenizer_config.json</c> beside it are honoured.</summary>
    /// <exception cref="InputException">The file cannot be read or is of a kind we do not know.</exception>
    public static Tokenizer FromModelFile(string path) =>
        new(SentencePieceModel.Read(JsonInput.ReadFile(path), path, TokenizerSettings.Beside(path)));

    /// <summary>A <c>tokenizer.json</c>; <c>tokenizer_config.json</c> beside it is honoured.</summary>
    /// <exception cref="InputException">The file cannot be read or is of a kind we do not know.</exception>
    public static Tokenizer FromJsonFile(string path) =>
        new(TokenizerJson.Read(JsonInput.Parse(JsonInput.ReadFile(path), path), path, TokenizerSettings.Beside(path)));

    /// <summary>A <c>tokenizer.json</c> in memory; <paramref name="name"/> stands for it in messages.</summary>
    /// <exception cref="InputException">The text is no tokenizer, or of a kind we do not know.</exception>
    public static Tokenizer FromJson(ReadOnlyMemory<byte> utf8, string name) =>
        new(TokenizerJson.Read(JsonInput.Parse(utf8, name), name, TokenizerSettings.None));

    /// <summary>Ids of a text, with the opening token in front when <paramref name="addBos"/> is true.</summary>
    public int[] Encode(string text, bool addBos) => Encode(text, addBos, _definition.Prefix);

    /// <summary>Ids of a text that goes on where another ended: no opening token, no space put in front.</summary>
    public int[] EncodeContinuation(string text) =>
        Encode(text, addBos: false, _definition.Prefix == SpacePrefix.EverySegment ? SpacePrefix.EverySegment : SpacePrefix.None, isContinuation: true);

    /// <summary>The text of some ids; with <paramref name="skipSpecialTokens"/> those marked special leave no trace.</summary>
    /// <exception cref="InputException">An id outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var decoder = new TokenStreamDecoder(this, skipSpecialTokens);
        var text = new StringBuilder();
        foreach (int id in ids) text.Append(decoder.Push(id));
        return text.Append(decoder.Finish()).ToString();
    }

    /// <summary>Id of a token by its exact text; -1 when there is none.</summary>
    public int IdOf(string token) => _definition.Ids.GetValueOrDefault(token, -1);

    /// <summary>The token's text as the vocabulary has it (spaces as U+2581).</summary>
    /// <exception cref="InputException">An id outside the vocabulary.</exception>
    public string TokenOf(int id) => (uint)id < (uint)_definition.Pieces.Length
        ? _definition.Pieces[id] ?? ""
        : throw new InputException($"token id {id} is outside the vocabulary of {_definition.Pieces.Length} in {_definition.File}");

    /// <summary>True for control tokens (begin, end, turn and image marks), which decoding can leave out.</summary>
    public bool IsSpecial(int id) => _special.Contains(id);

    /// <summary>The bytes of text that a token stands for; none for control tokens.</summary>
    /// <exception cref="InputException">An id outside the vocabulary.</exception>
    public byte[] BytesOf(int id)
    {
        if (IsSpecial(id)) return [];
        return TryGetByte(id, out byte value) ? [value] : Encoding.UTF8.GetBytes(PlainTextOf(id));
    }

    internal bool TryGetByte(int id, out byte value) => _byteOfId.TryGetValue(id, out value);

    internal string PlainTextOf(int id) => TokenOf(id).Replace(Space, ' ');

    private int[] Encode(string text, bool addBos, SpacePrefix prefix, bool isContinuation = false)
    {
        var ids = new List<int>(text.Length / 3 + 8);
        if (addBos)
            ids.Add(BosId >= 0 ? BosId : throw new InputException($"{_definition.File}: the tokenizer has no token that opens a text"));
        var merger = new BytePairMerger(_definition.Merges);
        int from = 0;
        while (from < text.Length)
        {
            bool found = _addedTokens.TryFind(text, from, out int start, out int length, out int id);
            if (start > from)
            {
                bool prefixed = prefix == SpacePrefix.EverySegment && !(isContinuation && from == 0)
                    || prefix == SpacePrefix.FirstSegment && from == 0;
                AppendSegment(text.AsSpan(from, start - from), prefixed, merger, ids);
            }
            if (found) ids.Add(id);
            from = start + length;
        }
        return [.. ids];
    }

    private void AppendSegment(ReadOnlySpan<char> segment, bool prefixed, BytePairMerger merger, List<int> ids)
    {
        var symbols = new List<int>(segment.Length + 1);
        if (prefixed) AppendSymbol(new Rune(Space), symbols);
        foreach (Rune rune in segment.EnumerateRunes()) AppendSymbol(rune.Value == ' ' ? new Rune(Space) : rune, symbols);
        Span<int> merged = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(symbols);
        ids.AddRange(merged[..merger.Merge(merged)]);
    }

    private void AppendSymbol(Rune rune, List<int> symbols)
    {
        Span<char> characters = stackalloc char[2];
        if (_ids.TryGetValue(characters[..rune.EncodeToUtf16(characters)], out int id))
        {
            symbols.Add(id);
            return;
        }
        Span<byte> bytes = stackalloc byte[4];
        bytes = bytes[..rune.EncodeToUtf8(bytes)];
        if (_definition.ByteFallback && HasAll(bytes))
            foreach (byte value in bytes) symbols.Add(_idOfByte[value]);
        else if (_definition.UnknownId >= 0 && !(_definition.FuseUnknown && symbols.Count > 0 && symbols[^1] == _definition.UnknownId))
            symbols.Add(_definition.UnknownId);
    }

    private bool HasAll(ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
            if (_idOfByte[value] < 0) return false;
        return true;
    }
}
