namespace GemmaCore.Inputs.Volumes;

/// <summary>A volume as MedGemma 1.5 was trained to see one: slices with their numbers between an instruction and the question (Google's CT notebook).</summary>
public static class VolumePrompt
{
    /// <summary>Slices of 256 tokens that the report on MedGemma 1.5 puts into one prompt.</summary>
    public const int UsualSlices = 85;

    /// <summary>Slices, each followed by "SLICE 1", "SLICE 2", …; a single one has no number. Only the number of slices is read here.</summary>
    /// <param name="path">A NIfTI file, a folder of DICOM files, or a DICOM file of several frames.</param>
    /// <param name="window">Which values become black and white; null for what DICOM files ask for.</param>
    /// <param name="most">At most so many, evenly spread.</param>
    /// <exception cref="InputException">There is no volume, or it cannot be read.</exception>
    public static IReadOnlyList<ContentPart> Parts(string path, GreyWindow? window = null, int most = UsualSlices)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        List<ContentPart> parts = [];
        IReadOnlyList<int> slices = Chosen(Volume.CountSlices(path), most);
        for (int i = 0; i < slices.Count; i++)
        {
            parts.Add(new ImagePart(ImageSource.FromFile(path) with { Slice = slices[i], Window = window }));
            if (slices.Count > 1) parts.Add(new TextPart(FormattableString.Invariant($"SLICE {i + 1}")));
        }

        return parts;
    }

    /// <summary>Which slices are shown, from 1: all, or <c>round(i / most * (count - 1))</c> for i from 1 to <paramref name="most"/>, half to even, as Python rounds.</summary>
    public static IReadOnlyList<int> Chosen(int count, int most) => count <= most
        ? [.. Enumerable.Range(1, count)]
        : [.. Enumerable.Range(1, most).Select(i => (int)Math.Round((double)i / most * (count - 1), MidpointRounding.ToEven) + 1)];
}
