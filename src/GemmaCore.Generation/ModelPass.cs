using System.Runtime.InteropServices;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// One pass through the model for some sequences: their next tokens go in together, and whoever's prompt is complete gets the next token of its answer.
/// Memory is kept from pass to pass.
/// </summary>
internal sealed class ModelPass : IDisposable
{
    /// <summary>Rows of logits computed together: the head is read once for all of them.</summary>
    private const int LogitRows = 8;

    private readonly LanguageModel _model;
    private readonly Arena _arena;
    private readonly TokenBatch _batch = new();
    private readonly List<(Sequence Sequence, int Row)> _answering = [];
    private readonly List<float[]> _pixels = [];
    private readonly TokenCandidates _candidates = new();
    private float[] _logits = [], _hidden = [];

    public ModelPass(LanguageModel model)
    {
        _model = model;
        _arena = new Arena(model.Device);
    }

    public void Dispose() => _arena.Dispose();

    /// <summary>Runs the next unseen pictures of some sequences through the vision tower, as many as fit one pass.</summary>
    /// <param name="sequences">Those with unseen pictures, all with the same <see cref="Sequence.VisionAdapter"/>.</param>
    /// <param name="most">Pictures of the pass.</param>
    public void See(IReadOnlyList<Sequence> sequences, int most)
    {
        _arena.Reset();
        _pixels.Clear();
        foreach (Sequence sequence in sequences)
            for (int i = sequence.SeenPictures; i < sequence.Prompt.Images.Count && _pixels.Count < most; i++) _pixels.Add(sequence.Prompt.Images[i].Values);
        TensorView features = ImageEncoding.Encode(_model, _pixels, _arena, sequences[0].VisionAdapter);
        int left = _pixels.Count, perImage = _model.TokensPerImage, from = 0;
        foreach (Sequence sequence in sequences)
        {
            int count = Math.Min(left, sequence.Prompt.Images.Count - sequence.SeenPictures), rows = count * perImage;
            if (count == 0) break;
            sequence.Features ??= new DeviceBuffer(_model.Device, new Shape(sequence.Prompt.Images.Count * perImage, features.Shape[1]), DType.F32);
            _model.Device.Copy(features.Slice(from, rows), sequence.Features.View.Slice(sequence.SeenPictures * perImage, rows));
            sequence.SeenPictures += count;
            from += rows;
            left -= count;
        }
    }

    /// <summary>Puts in the next tokens of each sequence.</summary>
    /// <param name="sequences">Started sequences, those with the same adapter side by side.</param>
    /// <param name="repeatKey">A number for passes that are likely to be the same work again; 0 for others.</param>
    public void Run(IReadOnlyList<Sequence> sequences, int repeatKey)
    {
        _arena.Reset();
        _batch.Clear();
        _answering.Clear();
        int images = 0;
        foreach (Sequence sequence in sequences)
        {
            // A chosen id goes in as ordinary text even if it is the image id: it has no features.
            _batch.Add(sequence.NextIds, sequence.IsDecoding ? -1 : _model.ImageTokenId, sequence.Cache, adapter: sequence.Adapter);
            if (sequence.IsAnswering) _answering.Add((sequence, _batch.TokenCount - 1));
            images = _batch.ImageRows.Length;
        }

        if (images > 0) _batch.ImageFeatures = Features(sequences, images);
        if (repeatKey != 0) _model.Device.BeginRepeatable(repeatKey);
        TensorView hidden = _model.Forward(_batch, _arena, null);
        Embed(sequences, hidden);
        for (int first = 0; first < _answering.Count; first += LogitRows) Answer(hidden, first, Math.Min(LogitRows, _answering.Count - first));
    }

    // The hidden states of those that are to be embedded.
    private void Embed(IReadOnlyList<Sequence> sequences, TensorView hidden)
    {
        for (int i = 0; i < sequences.Count; i++)
        {
            if (sequences[i].Request.Embedding is null) continue;
            TokenBatch.Sequence rows = _batch.Sequences[i];
            int count = rows.RowCount * hidden.Shape[1];
            if (_hidden.Length < count) _hidden = new float[count];
            _model.Device.CopyToHost(hidden.Slice(rows.FirstRow, rows.RowCount), MemoryMarshal.AsBytes(_hidden.AsSpan(0, count)));
            sequences[i].AddHidden(_hidden.AsSpan(0, count), hidden.Shape[1]);
        }
    }

    // The features of this pass's image rows, in their order: a part of each sequence's own.
    private TensorView Features(IReadOnlyList<Sequence> sequences, int count)
    {
        TensorView features = _arena.Take(new Shape(count, _model.Layout.HiddenSize));
        int to = 0;
        for (int i = 0; i < sequences.Count; i++)
        {
            TokenBatch.Sequence rows = _batch.Sequences[i];
            int mine = 0;
            foreach (int row in _batch.ImageRows)
                if (row >= rows.FirstRow && row < rows.FirstRow + rows.RowCount) mine++;
            if (mine == 0) continue;
            Sequence sequence = sequences[i];
            _model.Device.Copy(sequence.Features!.View.Slice(sequence.UsedFeatures, mine), features.Slice(to, mine));
            sequence.UsedFeatures += mine;
            to += mine;
            if (sequence.UsedFeatures < sequence.Features.View.Shape[0]) continue;
            sequence.Features.Dispose();
            sequence.Features = null;
        }

        return features;
    }

    // The next tokens of some sequences, from the hidden states of their last rows.
    private void Answer(TensorView hidden, int first, int count)
    {
        Arena.Mark mark = _arena.Position;
        TensorView last = _arena.Take(new Shape(count, hidden.Shape[1])), logits = _arena.Take(new Shape(count, _model.Layout.VocabularySize));
        for (int i = 0; i < count; i++) _model.Device.Copy(hidden.Slice(_answering[first + i].Row, 1), last.Slice(i, 1));
        _model.Logits(last, logits);
        ReadCandidates(first, count, logits);
        for (int i = 0; i < count; i++) Accept(_answering[first + i].Sequence, logits, i);
        _arena.Rewind(mark);
    }

    // One question to the device for all rows: as many candidates as the most demanding sequence needs.
    private void ReadCandidates(int first, int count, TensorView logits)
    {
        int candidates = 0;
        bool logprobs = false;
        for (int i = 0; i < count; i++)
        {
            Sequence sequence = _answering[first + i].Sequence;
            int needed = sequence.CandidateCount(logits.Shape[1]);
            candidates = Math.Max(candidates, needed);
            logprobs |= needed > 0 && sequence.Parameters.Logprobs >= 0;
        }

        if (candidates > 0) _candidates.Read(logits, candidates, logprobs, _arena);
    }

    private void Accept(Sequence sequence, TensorView logits, int row)
    {
        int vocabulary = logits.Shape[1];
        if (sequence.CandidateCount(vocabulary) > 0 && sequence.TryAccept(_candidates, row)) return;
        if (_logits.Length < vocabulary) _logits = new float[vocabulary];
        Span<float> values = _logits.AsSpan(0, vocabulary);
        _model.Device.CopyToHost(logits.Slice(row, 1), MemoryMarshal.AsBytes(values));
        sequence.Accept(values);
    }
}
