namespace GemmaCore.Inputs;

/// <summary>
/// Reads <c>tokenizer.model</c>, a SentencePiece model in protobuf form (field numbers: sentencepiece_model.proto), and derives the
/// ranked merges as the Hugging Face converter does, so that ids equal those of the <c>tokenizer.json</c> made from it.
/// </summary>
internal static class SentencePieceModel
{
    private const int BytePairEncoding = 2;
    private const int NormalPiece = 1, UnknownPiece = 2, ControlPiece = 3, UserDefinedPiece = 4;

    private readonly record struct Piece(string Text, float Score, int Type);

    private sealed class Header
    {
        public int ModelType = 1; // the proto's default: unigram
        public bool ByteFallback;
        public int UnknownId, BosId = 1, EosId = 2, PadId = -1;
        public bool AddsPrefix = true, RemovesExtraSpaces = true, EscapesSpaces = true;
        public int NormalisationBytes;
    }

    public static TokenizerDefinition Read(byte[] file, string path, TokenizerSettings settings)
    {
        List<Piece> pieces = [];
        var header = new Header();
        foreach (ProtobufField field in new ProtobufMessage(file, path))
        {
            if (field.Number == 1) pieces.Add(ReadPiece(field.Message(path)));
            else if (field.Number == 2) ReadTrainer(field.Message(path), header);
            else if (field.Number == 3) ReadNormaliser(field.Message(path), header);
        }
        RefuseUnknownKind(path, pieces.Count, header);

        var ids = new Dictionary<string, int>(pieces.Count);
        var texts = new List<string?>(pieces.Count);
        foreach (Piece piece in pieces)
        {
            if (!ids.TryAdd(piece.Text, texts.Count)) throw new InputException($"{path}: token '{piece.Text}' stands twice in the vocabulary");
            texts.Add(piece.Text);
        }
        MergeTable merges = DeriveMerges(pieces, ids);
        List<AddedToken> added = CollectAddedTokens(path, pieces, settings, ids, texts);
        return new TokenizerDefinition
        {
            File = path,
            Pieces = [.. texts],
            Ids = ids,
            Merges = merges,
            AddedTokens = added,
            ByteFallback = header.ByteFallback,
            FuseUnknown = true,
            Prefix = header.AddsPrefix ? SpacePrefix.EverySegment : SpacePrefix.None,
            StripsLeadingSpace = header.AddsPrefix,
            UnknownId = header.UnknownId < pieces.Count ? header.UnknownId : -1,
            BosId = settings.Bos is { } bos && ids.TryGetValue(bos, out int id) ? id : InRange(header.BosId),
            EosId = settings.Eos is { } eos && ids.TryGetValue(eos, out id) ? id : InRange(header.EosId),
            PadId = settings.Pad is { } pad && ids.TryGetValue(pad, out id) ? id : InRange(header.PadId),
        };

        int InRange(int candidate) => (uint)candidate < (uint)pieces.Count ? candidate : -1;
    }

    private static Piece ReadPiece(ProtobufMessage message)
    {
        string text = "";
        float score = 0;
        int type = NormalPiece;
        foreach (ProtobufField field in message)
        {
            if (field.Number == 1) text = field.Text(message.File);
            else if (field.Number == 2) score = BitConverter.UInt32BitsToSingle((uint)field.Value);
            else if (field.Number == 3) type = (int)field.Value;
        }
        return new Piece(text, score, type);
    }

    private static void ReadTrainer(ProtobufMessage message, Header header)
    {
        foreach (ProtobufField field in message)
        {
            switch (field.Number)
            {
                case 3: header.ModelType = (int)field.Value; break;
                case 35: header.ByteFallback = field.Value != 0; break;
                case 40: header.UnknownId = (int)field.Value; break;
                case 41: header.BosId = (int)field.Value; break;
                case 42: header.EosId = (int)field.Value; break;
                case 43: header.PadId = (int)field.Value; break;
            }
        }
    }

    private static void ReadNormaliser(ProtobufMessage message, Header header)
    {
        foreach (ProtobufField field in message)
        {
            switch (field.Number)
            {
                case 2: header.NormalisationBytes = field.Bytes.Length; break;
                case 3: header.AddsPrefix = field.Value != 0; break;
                case 4: header.RemovesExtraSpaces = field.Value != 0; break;
                case 5: header.EscapesSpaces = field.Value != 0; break;
            }
        }
    }

    private static void RefuseUnknownKind(string path, int pieceCount, Header header)
    {
        if (pieceCount == 0) throw new InputException($"{path}: not a SentencePiece model: it holds no tokens");
        if (header.ModelType != BytePairEncoding)
            throw new InputException($"{path}: SentencePiece model type {header.ModelType}; only byte-pair encoding ({BytePairEncoding}) is supported");
        if (header.NormalisationBytes > 0 || header.RemovesExtraSpaces || !header.EscapesSpaces)
            throw new InputException($"{path}: the model normalises its text (character map, or runs of spaces); only identity normalisation is supported");
    }

    // Every split of a piece into two pieces is a merge. Order: score of the result from high to low, then the longer left part.
    private static MergeTable DeriveMerges(List<Piece> pieces, Dictionary<string, int> ids)
    {
        var lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        List<(float Score, int LeftLength, int RightLength, int Order, int Left, int Right, int Merged)> merges = new(pieces.Count * 2);
        for (int merged = 0; merged < pieces.Count; merged++)
        {
            string text = pieces[merged].Text;
            int length = RuneCount(text), leftLength = 0;
            for (int cut = 1; cut < text.Length; cut++)
            {
                if (char.IsLowSurrogate(text[cut])) continue;
                leftLength++;
                if (lookup.TryGetValue(text.AsSpan(0, cut), out int left) && lookup.TryGetValue(text.AsSpan(cut), out int right))
                    merges.Add((pieces[merged].Score, leftLength, length - leftLength, merges.Count, left, right, merged));
            }
        }
        merges.Sort(static (a, b) => a.Score != b.Score ? b.Score.CompareTo(a.Score)
            : a.LeftLength != b.LeftLength ? b.LeftLength - a.LeftLength
            : a.RightLength != b.RightLength ? b.RightLength - a.RightLength : a.Order - b.Order);
        var table = new MergeTable(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++) table.Add(merges[rank].Left, merges[rank].Right, rank, merges[rank].Merged);
        return table;
    }

    private static int RuneCount(string text)
    {
        int count = 0;
        foreach (char character in text)
            if (!char.IsLowSurrogate(character)) count++;
        return count;
    }

    // Control and user-defined pieces match whole; the settings beside the model add tokens after its last and say which are special.
    private static List<AddedToken> CollectAddedTokens(string path, List<Piece> pieces, TokenizerSettings settings, Dictionary<string, int> ids, List<string?> texts)
    {
        var added = new SortedDictionary<int, AddedToken>();
        for (int id = 0; id < pieces.Count; id++)
            if (pieces[id].Type is UnknownPiece or ControlPiece or UserDefinedPiece)
                added[id] = new AddedToken(pieces[id].Text, id, pieces[id].Type != UserDefinedPiece);
        foreach (AddedToken token in settings.AddedTokens)
        {
            if (token.Id < 0 || token.Id > pieces.Count + settings.AddedTokens.Count)
                throw new InputException($"{path}: added token '{token.Content}' has id {token.Id}, far outside the vocabulary of {pieces.Count}");
            while (texts.Count <= token.Id) texts.Add(null);
            texts[token.Id] = token.Content;
            ids.TryAdd(token.Content, token.Id);
            added[token.Id] = token;
        }
        return [.. added.Values];
    }
}
