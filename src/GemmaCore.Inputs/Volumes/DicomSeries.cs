using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Inputs.Volumes;

/// <summary>
/// The slices of one acquisition. Of a folder that is the one that is not derived and has most instances; an instance number counts once; slices lie in the order of their
/// places, from the feet up (training.md §7), or of their instance numbers where the files do not say where they lie.
/// </summary>
internal sealed class DicomSeries : Volume
{
    private readonly List<(DicomFrames File, int Frame)> _slices;

    private DicomSeries(string name, List<(DicomFrames File, int Frame)> slices)
        : base(name) => _slices = slices;

    public override int Count => _slices.Count;

    /// <summary>The acquisition of a folder and those below it.</summary>
    /// <exception cref="InputException">There is none, or a file of it is damaged.</exception>
    public static DicomSeries OfFolder(string folder, long maxPixels)
    {
        List<DicomFrames> files = [];
        long bytes = 0;
        foreach (string path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            byte[] content = JsonInput.ReadFile(path);
            if (!DicomFile.IsOne(content)) continue;
            DicomFile file = DicomFile.Read(content, path);
            if (!file.Data.Has(DicomTag.PixelData)) continue; // a DICOMDIR, a report
            if ((bytes += content.Length) > MostBytes) throw new InputException($"{folder}: its DICOM files have more than {MostBytes} bytes; give the folder of one series");
            files.Add(DicomFrames.Open(file, maxPixels));
        }

        if (files.Count == 0) throw new InputException($"{folder}: holds no DICOM files with pictures");
        IGrouping<(string, string), DicomFrames> acquisition = files
            .GroupBy(file => (file.File.Data.Text(DicomTag.SeriesInstance), file.File.Data.Text(DicomTag.AcquisitionNumber)))
            .OrderBy(group => group.First().File.Data.Texts(DicomTag.ImageType).Contains("DERIVED")).ThenByDescending(group => group.Count()).First();
        return Of(folder, acquisition.DistinctBy(file => file.File.Data.Number(DicomTag.InstanceNumber) is { } number ? number.ToString() : file.File.Name));
    }

    /// <summary>The slices of given files.</summary>
    /// <exception cref="InputException">They are not grey.</exception>
    public static DicomSeries Of(string name, IEnumerable<DicomFrames> files)
    {
        List<(DicomFrames File, int Frame)> slices = [.. files.SelectMany(file => Enumerable.Range(1, file.Image.Frames).Select(frame => (file, frame)))];
        if (slices.Exists(slice => !slice.File.Image.IsGrey)) throw new InputException($"{name}: its pictures are coloured, and volumes are grey; show them with --image");
        double?[] places = [.. slices.Select(slice => Place(slice.File.Attributes, slice.Frame - 1))];
        IEnumerable<int> order = Enumerable.Range(0, slices.Count);
        order = places.All(place => place is not null)
            ? order.OrderBy(index => places[index])
            : order.OrderBy(index => slices[index].File.File.Data.Number(DicomTag.InstanceNumber) ?? 0).ThenBy(index => slices[index].Frame);
        return new DicomSeries(name, [.. order.Select(index => slices[index])]);
    }

    protected override GreyWindow DefaultWindow(GreyPicture slice) => slice.DefaultWindow;

    protected override GreyPicture Slice(int slice) => _slices[slice - 1].File.Grey(_slices[slice - 1].Frame);

    // How far along the direction that slices are stacked in, which for axial ones is z: the product of both in-plane directions, turned to the head (or front, or left).
    private static double? Place(FrameAttributes attributes, int frame)
    {
        if (attributes.Position(frame) is not { } position) return null;
        double[] d = attributes.Orientation(frame) ?? [1, 0, 0, 0, 1, 0];
        double[] normal = [d[1] * d[5] - d[2] * d[4], d[2] * d[3] - d[0] * d[5], d[0] * d[4] - d[1] * d[3]];
        double sign = Math.Sign(normal.MaxBy(Math.Abs));
        return sign * (position[0] * normal[0] + position[1] * normal[1] + position[2] * normal[2]);
    }
}
