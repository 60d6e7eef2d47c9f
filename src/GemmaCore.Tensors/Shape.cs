using System.Globalization;

namespace GemmaCore.Tensors;

/// <summary>Sizes of a row-major tensor of rank 1 to 4. Elements are contiguous: there are no strides.</summary>
public readonly record struct Shape
{
    private readonly int _d0, _d1, _d2, _d3;

    /// <summary>Rank 1.</summary>
    public Shape(int d0) : this(1, d0, 1, 1, 1) { }

    /// <summary>Rank 2: rows, columns.</summary>
    public Shape(int d0, int d1) : this(2, d0, d1, 1, 1) { }

    /// <summary>Rank 3.</summary>
    public Shape(int d0, int d1, int d2) : this(3, d0, d1, d2, 1) { }

    /// <summary>Rank 4.</summary>
    public Shape(int d0, int d1, int d2, int d3) : this(4, d0, d1, d2, d3) { }

    private Shape(int rank, int d0, int d1, int d2, int d3)
    {
        if ((d0 | d1 | d2 | d3) < 0)
            throw new ShapeException($"Shape: sizes must not be negative, got [{d0}, {d1}, {d2}, {d3}]");
        Rank = rank;
        (_d0, _d1, _d2, _d3) = (d0, d1, d2, d3);
    }

    /// <summary>A shape from a list of sizes, e.g. one read from a checkpoint header. A scalar (no sizes) becomes [1].</summary>
    /// <exception cref="ShapeException">More than four sizes, or a size outside 0..2^31-1.</exception>
    public static Shape From(ReadOnlySpan<long> sizes)
    {
        if (sizes.Length > 4) throw new ShapeException($"Shape: rank {sizes.Length} is above the largest supported rank, 4");
        Span<int> d = [1, 1, 1, 1];
        for (int i = 0; i < sizes.Length; i++)
        {
            if (sizes[i] is < 0 or > int.MaxValue) throw new ShapeException($"Shape: size {sizes[i]} in dimension {i} is out of range");
            d[i] = (int)sizes[i];
        }

        return new Shape(Math.Max(1, sizes.Length), d[0], d[1], d[2], d[3]);
    }

    /// <summary>Number of dimensions, 1 to 4 (0 only for <c>default</c>).</summary>
    public int Rank { get; }

    /// <summary>Size of dimension <paramref name="dimension"/>, counted from 0; <c>^1</c> is the innermost.</summary>
    public int this[Index dimension] => dimension.GetOffset(Rank) switch
    {
        0 when Rank > 0 => _d0,
        1 when Rank > 1 => _d1,
        2 when Rank > 2 => _d2,
        3 when Rank > 3 => _d3,
        _ => throw new ShapeException($"Shape: dimension {dimension} of {this} does not exist"),
    };

    /// <summary>Number of elements.</summary>
    public long ElementCount => Rank == 0 ? 0 : (long)_d0 * _d1 * _d2 * _d3;

    /// <summary>Size of the innermost dimension.</summary>
    public int Columns => this[^1];

    /// <summary>Product of all dimensions but the innermost: the row count when seen as a matrix.</summary>
    public int Rows => Columns == 0 ? 0 : checked((int)(ElementCount / Columns));

    /// <summary>E.g. <c>[17, 2560]</c>.</summary>
    public override string ToString()
    {
        Span<int> d = [_d0, _d1, _d2, _d3];
        return "[" + string.Join(", ", d[..Rank].ToArray().Select(x => x.ToString(CultureInfo.InvariantCulture))) + "]";
    }
}
