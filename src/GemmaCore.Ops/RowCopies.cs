using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Row-wise moves shared by gathering and scattering: row i of one side and row Rows[i] of the other.</summary>
internal unsafe struct RowCopies : IWork
{
    public float* Listed, All;
    public int* Rows;
    public int Count, Columns;
    public bool ToListed, Add;

    public readonly void Execute(int index)
    {
        (int first, int end) = RowBlocks.Range(index, Count, Columns);
        for (int i = first; i < end; i++)
        {
            float* listed = Listed + (long)i * Columns, other = All + (long)Rows[i] * Columns;
            float* source = ToListed ? other : listed, destination = ToListed ? listed : other;
            if (Add) AddRow(source, destination);
            else new ReadOnlySpan<float>(source, Columns).CopyTo(new Span<float>(destination, Columns));
        }
    }

    private readonly void AddRow(float* source, float* destination)
    {
        int i = 0;
        for (; i <= Columns - Lanes.Width; i += Lanes.Width) Lanes.Store(Lanes.Load(destination + i) + Lanes.Load(source + i), destination + i);
        for (; i < Columns; i++) destination[i] += source[i];
    }
}
